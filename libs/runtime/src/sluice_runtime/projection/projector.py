"""Projects topics into SQLite, with the offsets in the same transaction.

So the file is exact at every moment, also after a crash. It can be deleted: it is rebuilt from the
topics. The gateway's view and the dispatcher's ledger are such files.
"""

import asyncio
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from sluice_contracts.records import IncomingRecord
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.consumer import incoming, partitions_of, started_consumer
from sluice_runtime.kafka.sessions import run_sessions
from sluice_runtime.projection.last_records import LastRecord, LastRecords, TopicReplacedError
from sluice_runtime.projection.portions import portions
from sluice_runtime.projection.write_behind import WriteBehind

__all__ = ["ProjectionStore", "Projector"]

_log = structlog.get_logger(__name__)

# The longest delay of an answer to "is everything read?".
_POLL_MS = 250
_TOPIC_CHECK_S = 60.0
_ASK_EVERY_S = 1.0


class ProjectionStore(Protocol):
    """The store of a projection; records and offsets are stored together or not at all."""

    async def offsets(self) -> dict[tuple[str, int], int]:
        """Return the next offset to project, per topic and partition."""

    async def last_records(self) -> dict[tuple[str, int], LastRecord]:
        """Return the record that was projected last, per topic and partition."""

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """Decode the records; return what projects them and stores the offsets after them.

        It is to be called once, and does its work in one transaction.
        """

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """Delete the rows of records that the topics have deleted.

        `starts` has the offset of the oldest record of each topic and partition.
        """

    async def forget(self) -> None:
        """Delete everything: the topics are not those that the rows came from."""


_Starts = Mapping[TopicPartition, int]


@dataclass(frozen=True, kw_only=True)
class _Ends:
    """The end offsets of partitions at or after `asked`, a time on the projection's clock."""

    asked: float
    offsets: Mapping[TopicPartition, int]


class Projector:
    """Keeps a store up to date with its topics, and measures how far it is behind.

    Args:
        clock: returns seconds, to measure the age of answers; None: the event loop's clock.
        newest: how many of the last records are read at a start; each partition has an equal share.
            None: all.
    """

    def __init__(
        self,
        *,
        name: str,
        topics: Iterable[str],
        store: ProjectionStore,
        make_consumer: Callable[[], AIOKafkaConsumer],
        backoff: Backoff | None = None,
        clock: Callable[[], float] | None = None,
        newest: int | None = None,
    ) -> None:
        self._name = name
        self._newest = newest
        self._topics = tuple(topics)
        self._store = store
        self._writes = WriteBehind(store)
        self._make_consumer = make_consumer
        self._backoff = backoff or Backoff()
        self._clock = clock or _loop_time
        self._complete_as_of: float | None = None
        self._wanted = 0.0
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Project until cancelled; errors of Kafka are retried with growing pauses."""

        def log_retry(error: Exception, pause: float) -> None:
            _log.warning(
                "projection interrupted",
                projection=self._name,
                error=type(error).__name__,
                retry_in=pause,
            )

        await run_sessions(self._session, backoff=self._backoff, on_retry=log_retry)

    def staleness(self) -> float | None:
        """Return the age, in seconds, of the topics' state that the store is known to hold.

        The result is None until the store has caught up with the topics' state at the start.
        """
        if self._complete_as_of is None:
            return None
        return self._clock() - self._complete_as_of

    async def wait_fresh(self, *, within: float) -> None:
        """Wait until the store is at most `within` seconds behind the topics."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_fresh(within))

    async def wait_caught_up(self, *, as_of: float) -> None:
        """Wait until the store holds all records of `as_of`, a time on the projection's clock."""

        def is_complete() -> bool:
            # Equal times are not enough: ends asked for at that moment may miss a record.
            return self._complete_as_of is not None and self._complete_as_of > as_of

        self._wanted = max(self._wanted, as_of)
        async with self._changed:
            await self._changed.wait_for(is_complete)

    def waiting_for(self) -> str | None:
        """Return the reason for a readiness probe; None once the store has caught up."""
        return "the topics are still being read" if self._complete_as_of is None else None

    def _is_fresh(self, within: float) -> bool:
        staleness = self.staleness()
        return staleness is not None and staleness <= within

    async def _session(self) -> AsyncGenerator[None]:
        async with started_consumer(self._make_consumer) as consumer:
            try:
                async for step in self._project(consumer):
                    yield step
            finally:
                # The next session begins at the offsets that are stored.
                await self._writes.end()

    async def _project(self, consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
        """Read from the stored offsets, in batches, until the partitions change."""
        partitions = await partitions_of(consumer, self._topics)
        ends, starts, known = await self._begin(consumer, partitions)
        next_check = self._clock() + _TOPIC_CHECK_S
        ends = await self._note_progress(consumer, ends)
        while True:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=500)
            records = [incoming(record) for batch in batches.values() for record in batch]
            try:
                new = known.without(records)
            except TopicReplacedError:
                await self._writes.flush()
                await self._forget()
                return
            for portion in portions(new):
                await self._writes.put(portion)
            if not new:
                await self._writes.flush()
            ends = await self._note_progress(consumer, ends)
            yield
            if self._clock() >= next_check:
                next_check = self._clock() + _TOPIC_CHECK_S
                if await partitions_of(consumer, self._topics) != partitions:
                    _log.info("partitions added", projection=self._name)
                    return
                await self._writes.flush()
                starts = await self._expire(consumer, partitions, known=starts)

    async def _begin(
        self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition]
    ) -> tuple[_Ends, _Starts, LastRecords]:
        consumer.assign(list(partitions))
        stored = await self._store.offsets()
        ends = await self._ends(consumer, partitions)
        if any(stored.get((tp.topic, tp.partition), 0) > end for tp, end in ends.offsets.items()):
            await self._forget()
            stored = {}
        starts = await self._expire(consumer, partitions, known={})
        last = await self._store.last_records()
        known: dict[tuple[str, int], LastRecord] = {}
        share = sys.maxsize
        if self._newest is not None:
            share = max(1, self._newest // len(partitions))
        for tp in partitions:
            place = tp.topic, tp.partition
            next_offset, record = stored.get(place, 0), last.get(place)
            # An older version of Sluice stores the offset alone.
            if record and record.offset == next_offset - 1 >= starts[tp]:
                known[place] = record
                next_offset = record.offset
            # Retention may have deleted records since the stored offset.
            consumer.seek(tp, max(next_offset, starts[tp], ends.offsets[tp] - share))
        return ends, starts, LastRecords(known)

    async def _forget(self) -> None:
        """Start again: the rows came from records that no longer exist."""
        _log.warning("topics were recreated, projection starts again", projection=self._name)
        self._complete_as_of = None
        await self._store.forget()

    async def _expire(
        self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition], *, known: _Starts
    ) -> _Starts:
        """Delete from the store the rows of records that the topics have deleted, and no others.

        This does not use a clock of ours: one that is wrong for a moment would empty the store.
        """
        starts: _Starts = await consumer.beginning_offsets(list(partitions))
        if starts != known:
            await self._store.expire({(tp.topic, tp.partition): at for tp, at in starts.items()})
        return starts

    async def _note_progress(self, consumer: AIOKafkaConsumer, ends: _Ends) -> _Ends:
        """Record the time up to which the store is complete, and return the next ends to reach.

        Only the time of the request counts: a process that was frozen may read the answer long
        after it was given.
        """
        if not await self._note_if_reached(consumer, ends):
            return ends
        due = self._clock() >= ends.asked + _ASK_EVERY_S
        if not due and self._wanted < ends.asked:
            return ends
        ends = await self._ends(consumer, ends.offsets)
        await self._note_if_reached(consumer, ends)
        return ends

    async def _note_if_reached(self, consumer: AIOKafkaConsumer, ends: _Ends) -> bool:
        for tp, end in ends.offsets.items():
            if await consumer.position(tp) < end:
                return False
        await self._writes.flush()
        async with self._changed:
            self._complete_as_of = ends.asked
            self._changed.notify_all()
        return True

    async def _ends(
        self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
    ) -> _Ends:
        asked = self._clock()
        return _Ends(asked=asked, offsets=await consumer.end_offsets(list(partitions)))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
