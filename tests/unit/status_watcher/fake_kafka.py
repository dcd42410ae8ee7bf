"""A Kafka in memory: a stand-in for the producer and for the results topic's reader."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime, timedelta

from sluice_contracts.records import Appended, IncomingRecord, OutgoingRecord, Position
from sluice_contracts.status import StatusEvent
from sluice_contracts.status_codec import PublishedEvent, decode_status
from sluice_contracts.topics import TopicNames
from sluice_runtime.deadlines import Deadline, DeadlineExceededError
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_status_watcher.adapters.results_reader import appended, outcome_of
from sluice_status_watcher.domain.published_outcome import AppendedOutcome, OutcomeRecord
from tests.unit.runtime.clock import pause

TOPICS = TopicNames()

# As the real producer's.
_MAX_RECORD_BYTES = 4 * 1024 * 1024


class FakeKafka:
    """The producer and the results topic's reader in one; every record written stays.

    `same_as` is another client's connection to the same cluster: the records are shared, the
    faults are not.
    """

    def __init__(self, *, same_as: "FakeKafka | None" = None) -> None:
        self.records: list[tuple[str, OutgoingRecord, int]] = same_as.records if same_as else []
        self._failures: deque[tuple[Exception, str | None]] = deque()
        self._lost = 0
        self._away = False
        self._stuck = False
        self._in_flight: deque[tuple[str, OutgoingRecord]] = deque()
        self._held: asyncio.Event | None = None
        self._changed: asyncio.Condition = same_as._changed if same_as else asyncio.Condition()
        self._scan_failures = 0
        self._scan_takes = 0.0
        self.scans: list[datetime] = []

    async def send(
        self,
        topic: str,
        record: OutgoingRecord,
        *,
        deadline: Deadline,
        partition: int | None = None,
    ) -> Appended:
        """See `Producer.send`."""
        try:
            async with deadline.enforce():
                # An acknowledgement takes at least one round of the event loop.
                await asyncio.sleep(0)
        except DeadlineExceededError as e:
            raise KafkaUnavailableError(f"{topic}: not acknowledged in time") from e
        if record.size > _MAX_RECORD_BYTES:
            raise RecordRefusedError(f"{topic}: the record has {record.size} bytes.")
        if self._stuck:
            self._in_flight.append((topic, record))
            await _until(deadline, asyncio.Event())
        if self._held is not None:
            await _until(deadline, self._held)
        if self._away:
            raise KafkaUnavailableError(f"{topic}: no broker answered")
        if self._failures and self._failures[0][1] in {None, topic}:
            raise self._failures.popleft()[0]
        assert not partition, "each topic has one"
        position = Position(topic, 0, sum(name == topic for name, _, _ in self.records))
        timestamp_ms = await self._append(topic, record)
        await asyncio.sleep(0)
        if self._lost:
            self._lost -= 1
            raise KafkaUnavailableError(f"{topic}: the acknowledgement was lost")
        return Appended(position=position, timestamp_ms=timestamp_ms)

    def unavailable(self) -> str | None:
        """See `RecordProducer.unavailable`."""
        return "Kafka: away" if self._away else None

    async def find(
        self, wanted: Mapping[str, bytes], *, since: datetime
    ) -> dict[str, OutcomeRecord]:
        """See `ResultsReader.find`."""
        await pause(self._scan_takes)
        self.scans.append(since)
        if self._scan_failures or self._away:
            self._scan_failures = max(0, self._scan_failures - 1)
            raise KafkaUnavailableError("results: no broker answered")
        found: dict[str, OutcomeRecord] = {}
        keys = set(wanted.values())
        for record in self.records_for_test(TOPICS.results):
            outcome = outcome_of(record) if record.key in keys else None
            if outcome is None or outcome[0] not in wanted or record.timestamp_ms < _ms(since):
                continue
            uid, read = outcome
            if uid not in found or read.outcome.attempt > found[uid].outcome.attempt:
                found[uid] = read
        return found

    async def tail(self, *, since: datetime) -> AsyncGenerator[AppendedOutcome | None, None]:
        """See `ResultsReader.tail`."""
        read = 0
        while True:
            if self._away:
                raise KafkaUnavailableError("results: no broker answered")
            outcomes = [self._appended(at, since=since) for at in range(read, len(self.records))]
            read = len(self.records)
            for outcome in filter(None, outcomes):
                yield outcome
            if read == len(self.records):
                yield None
            async with self._changed:
                while len(self.records) == read:
                    await self._changed.wait()

    # What only tests may do.

    def fail_for_test(self, *errors: Exception, topic: str | None = None) -> None:
        """Answer the next sends (to this topic) with these errors, and write nothing."""
        self._failures.extend((error, topic) for error in errors)

    def lose_acknowledgements_for_test(self, *, times: int) -> None:
        """Write the next records, and lose their acknowledgements."""
        self._lost += times

    def go_away_for_test(self) -> None:
        """Refuse everything."""
        self._away = True

    def come_back_for_test(self) -> None:
        """Take records again."""
        self._away = False

    def get_stuck_for_test(self) -> None:
        """Take records and answer nothing: their senders give up, and they stay in flight."""
        self._stuck = True

    async def land_for_test(self, *, all_of_them: bool = False) -> None:
        """Append one record, or all, whose senders have given up or died."""
        while self._in_flight:
            await self._append(*self._in_flight.popleft())
            if not all_of_them:
                return

    def heal_for_test(self) -> None:
        """End every fault that was asked for; what is in flight stays there."""
        self._away = self._stuck = False
        self._failures.clear()
        self._lost = 0

    def age_for_test(self, age: timedelta) -> None:
        """Let all records have been written so much earlier."""
        ms = int(age.total_seconds() * 1000)
        self.records = [(topic, record, written - ms) for topic, record, written in self.records]

    def hold_for_test(self) -> asyncio.Event:
        """Keep sends waiting until the returned event is set."""
        self._held = asyncio.Event()
        return self._held

    def slow_scans_for_test(self, seconds: float) -> None:
        """Let each read of the results topic take so long."""
        self._scan_takes = seconds

    def fail_scans_for_test(self, *, times: int) -> None:
        """Let the next reads of the results topic fail."""
        self._scan_failures = times

    def records_for_test(self, topic: str) -> list[IncomingRecord]:
        """Return what a topic holds; it has one partition."""
        held = [each[1:] for each in self.records if each[0] == topic]
        return [_incoming(topic, at, *each) for at, each in enumerate(held)]

    def events_for_test(self, topic: str = TOPICS.status) -> list[StatusEvent]:
        """Return the events of a topic."""
        events = []
        for record in self.records_for_test(topic):
            published = decode_status(record)
            assert isinstance(published, PublishedEvent)
            events.append(published.event)
        return events

    def phases_for_test(self, topic: str = TOPICS.status, *, run_id: str = "order-1") -> list[str]:
        """Return the phases that a topic holds of one run, `attempt/phase`."""
        return [
            f"{event.attempt}/{event.phase}"
            for event in self.events_for_test(topic)
            if event.run_id == run_id
        ]

    async def wait_for_test(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; looked at after each record."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _append(self, topic: str, record: OutgoingRecord) -> int:
        timestamp_ms = _ms(datetime.now(UTC))
        self.records.append((topic, record, timestamp_ms))
        async with self._changed:
            self._changed.notify_all()
        return timestamp_ms

    def _appended(self, at: int, *, since: datetime) -> AppendedOutcome | None:
        topic, record, timestamp = self.records[at]
        outcome = outcome_of(_incoming(topic, at, record, timestamp))
        if topic != TOPICS.results or outcome is None or timestamp < _ms(since):
            return None
        return appended(_incoming(topic, at, record, timestamp), *outcome)


def _incoming(topic: str, offset: int, record: OutgoingRecord, timestamp_ms: int) -> IncomingRecord:
    return IncomingRecord(
        position=Position(topic, 0, offset),
        timestamp_ms=timestamp_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


async def _until(deadline: Deadline, event: asyncio.Event) -> None:
    try:
        async with deadline.enforce():
            await event.wait()
    except DeadlineExceededError as e:
        raise KafkaUnavailableError("not acknowledged in time") from e


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
