"""The work in hand of one assignment of partitions."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import TopicPartition

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.domain.offset_tracker import OffsetTracker
from sluice_dispatcher.services.in_flight_budget import InFlight

__all__ = ["Assignment"]

_log = structlog.get_logger(__name__)


class Assignment:
    """Records being worked on since the last rebalance, and what may be committed of them.

    `most_uncommitted` is how many records of a partition may be read from its oldest unfinished
    one on.
    """

    def __init__(
        self,
        handle: Callable[[IncomingRecord], Awaitable[object]],
        *,
        in_flight: InFlight,
        most_uncommitted: int,
    ) -> None:
        self._handle = handle
        self._in_flight = in_flight
        self._most_uncommitted = most_uncommitted
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Records being worked on, those that wait included."""
        return len(self._tasks)

    @property
    def stuck(self) -> dict[TopicPartition, int]:
        """Give the partitions of which nothing more should be read, and their oldest offset."""
        return {
            partition: oldest
            for partition, tracker in self._trackers.items()
            if tracker.span >= self._most_uncommitted
            and (oldest := tracker.oldest_unfinished) is not None
        }

    def take(self, record: IncomingRecord) -> None:
        """Begin to work on a record; once closed, leave it to whoever has the partition next."""
        if self._closed:
            return
        tracker = self._trackers.setdefault(_partition(record), OffsetTracker())
        tracker.start(record.position.offset)
        task = asyncio.create_task(self._work(record, tracker), name=f"record {record.position}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        self._in_flight.begin(task, size=record.memory)

    def check(self) -> None:
        """Raise what a record's task failed with: its offset would stay uncommitted, unseen."""
        if self._failure is not None:
            raise self._failure

    def committable(self) -> dict[TopicPartition, int]:
        """Give the offsets that have moved on since the last `committed`."""
        return {
            partition: offset
            for partition, tracker in self._trackers.items()
            if (offset := tracker.committable) is not None
            and self._committed.get(partition) != offset
        }

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        """Note what was committed."""
        self._committed |= offsets

    async def close(self, *, grace: float) -> None:
        """Take no more, finish what is under way, and give up after `grace` seconds.

        All else is given up at once, and together: a record must not overtake an earlier one of its
        run that is given up. What is given up was not committed, and is delivered again to whoever
        comes next.
        """
        self._closed = True
        if not self._tasks:
            return
        for task in self._tasks:
            if not self._in_flight.is_under_way(task):
                task.cancel()
        _, unfinished = await asyncio.wait(self._tasks, timeout=grace)
        for task in unfinished:
            task.cancel()
        if unfinished:
            _log.warning("records given up, to be delivered again", records=len(unfinished))
            await asyncio.wait(unfinished)

    async def _work(self, record: IncomingRecord, tracker: OffsetTracker) -> None:
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
