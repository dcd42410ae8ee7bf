"""The work in hand of one assignment of partitions."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.services.offsets import OffsetTracker

__all__ = ["Assignment", "Limits"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may be in hand: records, bytes, and records from the oldest unfinished one on."""

    records: int
    size: int
    span: int


class Assignment:
    """Records being worked on since the last rebalance, and what may be committed of them."""

    def __init__(
        self, handle: Callable[[IncomingRecord], Awaitable[object]], *, limits: Limits
    ) -> None:
        self._handle = handle
        self._limits = limits
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._size = 0
        self._closed = False

    @property
    def in_hand(self) -> int:
        """Records being worked on."""
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """Whether nothing more should be read for now."""
        spans = (tracker.span for tracker in self._trackers.values())
        return (
            len(self._tasks) >= self._limits.records
            or self._size >= self._limits.size
            or max(spans, default=0) >= self._limits.span
        )

    def take(self, record: IncomingRecord) -> None:
        """Begin to work on a record; once closed, leave it to whoever has the partition next."""
        if self._closed:
            return
        tracker = self._trackers.setdefault(_partition(record), OffsetTracker())
        tracker.start(record.position.offset)
        self._size += len(record.value or b"")
        task = asyncio.create_task(self._work(record, tracker), name=f"record {record.position}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        """Take no more, wait for what is in hand, and give up after `grace` seconds.

        What is given up was not committed, and is delivered again to whoever comes next.
        """
        self._closed = True
        if not self._tasks:
            return
        _, unfinished = await asyncio.wait(self._tasks, timeout=grace)
        for task in unfinished:
            task.cancel()
        if unfinished:
            _log.warning("records given up, to be delivered again", records=len(unfinished))
            await asyncio.wait(unfinished)

    async def _work(self, record: IncomingRecord, tracker: OffsetTracker) -> None:
        try:
            await self._handle(record)
        finally:
            self._size -= len(record.value or b"")
        tracker.finish(record.position.offset)


def _partition(record: IncomingRecord) -> TopicPartition:
    return TopicPartition(record.position.topic, record.position.partition)
