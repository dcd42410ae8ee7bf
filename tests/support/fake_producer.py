"""A fake of the runtime's `Producer` that keeps records in memory."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sluice_contracts.records import Appended, IncomingRecord, OutgoingRecord, Position
from sluice_runtime.deadlines import Deadline, DeadlineExceededError
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError

TIMESTAMP_MS = 1_790_000_000_000
"""The timestamp of the first record; each later one is a millisecond later."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    error: Exception
    written: bool


@dataclass(kw_only=True)
class FakeProducer:
    """Topics of `partitions` partitions each; a key always goes to the same one.

    It fails like the real producer, with `KafkaUnavailableError` once a deadline has passed.
    """

    partitions: int = 3
    max_record_bytes: int = 4 * 1024 * 1024
    _written: list[IncomingRecord] = field(default_factory=list)
    _failures: list[_Failure] = field(default_factory=list)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _away: bool = False
    _attempts: int = 0

    def __post_init__(self) -> None:
        self._open.set()

    async def send(
        self,
        topic: str,
        record: OutgoingRecord,
        *,
        deadline: Deadline,
        partition: int | None = None,
    ) -> Appended:
        """See `Producer.send`."""
        await self._note(attempts=1, waiting=1)
        try:
            async with deadline.enforce():
                # An acknowledgement takes at least one round of the event loop.
                await asyncio.sleep(0)
                await self._open.wait()
        except DeadlineExceededError as e:
            raise KafkaUnavailableError(f"{topic}: not acknowledged in time.") from e
        finally:
            await self._note(waiting=-1)
        if self._away:
            raise KafkaUnavailableError(f"{topic}: nobody there.")
        if record.size > self.max_record_bytes:
            raise RecordRefusedError(f"{topic}: the record has {record.size} bytes.")
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and not failure.written:
            raise failure.error
        written = self._write(topic, record, partition)
        if failure is not None:
            raise failure.error
        return Appended(position=written.position, timestamp_ms=written.timestamp_ms)

    async def send_all(
        self, topic: str, records: Sequence[OutgoingRecord], *, deadline: Deadline
    ) -> int:
        """See `BatchProducer.send_all`."""
        written = 0
        for record in records:
            try:
                await self.send(topic, record, deadline=deadline)
            except (KafkaUnavailableError, RecordRefusedError):
                continue
            written += 1
        return written

    async def start(self, *, deadline: Deadline) -> None:
        """See `RecordProducer.start`."""
        await self._note(attempts=1)
        if self._away:
            raise KafkaUnavailableError("No broker answered.")
        try:
            async with deadline.enforce():
                await asyncio.sleep(0)
        except DeadlineExceededError as e:
            raise KafkaUnavailableError("No time left.") from e

    def records_for_test(self, topic: str) -> list[IncomingRecord]:
        """Return the topic's records in the order of writing."""
        return [record for record in self._written if record.position.topic == topic]

    def fail_next_for_test(
        self, *, written: bool = False, error: Exception | None = None, times: int = 1
    ) -> None:
        """Fail the next sends; `written` records are on the topic nevertheless."""
        error = error or KafkaUnavailableError("not acknowledged in time.")
        self._failures += [_Failure(error=error, written=written)] * times

    def away_for_test(self, *, away: bool) -> None:
        """Make all brokers unavailable, or available again."""
        self._away = away

    @asynccontextmanager
    async def hold_for_test(self) -> AsyncIterator[None]:
        """Acknowledge nothing while the body runs."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    async def waiting_for_test(self, count: int) -> None:
        """Wait until `count` sends wait for their acknowledgement."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting >= count)

    async def attempts_for_test(self, count: int) -> None:
        """Wait until there have been `count` attempts to send or to connect."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._attempts >= count)

    async def written_for_test(self, count: int) -> None:
        """Wait until `count` records are written."""
        async with self._changed:
            # Notified just before a record is written, and looked at behind that.
            await self._changed.wait_for(lambda: len(self._written) >= count)

    def _write(self, topic: str, record: OutgoingRecord, number: int | None) -> IncomingRecord:
        partition = zlib.crc32(record.key or b"") % self.partitions if number is None else number
        offset = sum(
            1
            for written in self._written
            if (written.position.topic, written.position.partition) == (topic, partition)
        )
        written = IncomingRecord(
            position=Position(topic, partition, offset),
            timestamp_ms=TIMESTAMP_MS + len(self._written),
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        self._written.append(written)
        return written

    async def _note(self, *, attempts: int = 0, waiting: int = 0) -> None:
        async with self._changed:
            self._attempts += attempts
            self._waiting += waiting
            self._changed.notify_all()
