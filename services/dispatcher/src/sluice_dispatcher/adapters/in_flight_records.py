"""The records in flight of one assignment of partitions."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import TopicPartition

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.domain.offset_tracker import OffsetTracker
from sluice_dispatcher.services.in_flight_budget import InFlightBudget

__all__ = ["InFlightRecords"]

_log = structlog.get_logger(__name__)


class InFlightRecords:
    """Handles records since the last rebalance, and knows which offsets may be committed.

    `most_uncommitted` is that of `RequestConsumer`.
    """

    def __init__(
        self,
        handle: Callable[[IncomingRecord], Awaitable[object]],
        *,
        budget: InFlightBudget,
        most_uncommitted: int,
    ) -> None:
        self._handle = handle
        self._budget = budget
        self._most_uncommitted = most_uncommitted
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """Records in flight, active or waiting."""
        return len(self._tasks)

    @property
    def stuck(self) -> dict[TopicPartition, int]:
        """Partitions from which no more should be read, with their oldest unfinished offset."""
        return {
            partition: oldest
            for partition, tracker in self._trackers.items()
            if tracker.span >= self._most_uncommitted
            and (oldest := tracker.oldest_unfinished) is not None
        }

    def start(self, record: IncomingRecord) -> None:
        """Start to handle a record; once closed, ignore it: the next owner will read it."""
        if self._closed:
            return
        tracker = self._trackers.setdefault(_partition(record), OffsetTracker())
        tracker.start(record.position.offset)
        task = asyncio.create_task(self._run(record, tracker), name=f"record {record.position}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        self._budget.admit(task, size=record.memory, topic=record.position.topic)

    def check(self) -> None:
        """Raise the error of a record's task, whose offset would stay uncommitted unnoticed."""
        if self._failure is not None:
            raise self._failure

    def committable(self) -> dict[TopicPartition, int]:
        """Return the offsets that have advanced since the last `committed`."""
        return {
            partition: offset
            for partition, tracker in self._trackers.items()
            if (offset := tracker.committable) is not None
            and self._committed.get(partition) != offset
        }

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        """Note that these offsets were committed."""
        self._committed |= offsets

    async def close(self, *, grace: float) -> None:
        """Start no more records, and finish those that progress, within `grace` seconds.

        All others are abandoned at once and together: a record must not overtake an abandoned one
        of its run. Abandoned records are not committed, so the next owner reads them again.
        """
        self._closed = True
        if not self._tasks:
            return
        for task in self._tasks:
            if not self._budget.is_progressing(task):
                task.cancel()
        _, unfinished = await asyncio.wait(self._tasks, timeout=grace)
        for task in unfinished:
            task.cancel()
        if unfinished:
            _log.warning("records abandoned, to be redelivered", records=len(unfinished))
            await asyncio.wait(unfinished)

    async def _run(self, record: IncomingRecord, tracker: OffsetTracker) -> None:
        await self._handle(record)
        tracker.finish(record.position.offset)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() and not self._closed:
            error = RuntimeError(f"{task.get_name()} was cancelled from within")
        self._failure = self._failure or error


def _partition(record: IncomingRecord) -> TopicPartition:
    return TopicPartition(record.position.topic, record.position.partition)
