"""How many records the dispatcher may hold: active ones, and ones that wait for something.

Each kind has its own limit, in records and in bytes. A record that cannot proceed moves to the
waiting kind and makes room for the next one, until that kind is full as well. Waiting records are
limited for each topic: those of one topic take no room from the others.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sluice_dispatcher.domain.wait_reason import WaitReason

__all__ = ["InFlightBudget", "RecordLimit"]


@dataclass(frozen=True, kw_only=True)
class RecordLimit:
    """A number of records, and of bytes: as received, and as decoded."""

    records: int
    size: int


@dataclass(kw_only=True)
class _Record:
    topic: str
    received: int
    decoded: int = 0
    reason: WaitReason | None = None
    begun: bool = False


class _Usage:
    """Records and bytes of one kind."""

    def __init__(self, limit: RecordLimit) -> None:
        self._limit = limit
        self.records = 0
        self.received = 0
        self.decoded = 0

    @property
    def full(self) -> bool:
        size = self.received + self.decoded
        return self.records >= self._limit.records or size >= self._limit.size

    @property
    def relaxed(self) -> bool:
        """Whether a quarter of the limit is free."""
        size = self.received + self.decoded
        return 4 * self.records <= 3 * self._limit.records and 4 * size <= 3 * self._limit.size

    def count(self, record: _Record, *, sign: int) -> None:
        self.records += sign
        self.received += sign * record.received
        self.decoded += sign * record.decoded


class InFlightBudget:
    """Counts the records in flight by the task that handles each.

    `mark_waiting`, `mark_active` and `reserve_decoded` are for the record of the calling task, and
    do nothing in a task without one.

    Args:
        active: of all topics together.
        waiting: of each topic.
        topics: how many there are.
    """

    def __init__(self, *, active: RecordLimit, waiting: RecordLimit, topics: int = 1) -> None:
        self._limit = active
        self._active = _Usage(active)
        self._waiting = defaultdict[str, _Usage](lambda: _Usage(waiting))
        self._topics = topics
        self._blocked: set[str] = set()
        self._records: dict[asyncio.Task[object], _Record] = {}
        self._reasons: Counter[WaitReason] = Counter()
        self._room = asyncio.Event()

    @property
    def active(self) -> int:
        """Records that do not wait."""
        return self._active.records

    @property
    def waiting(self) -> Mapping[WaitReason, int]:
        """Records that wait, by reason."""
        return {reason: self._reasons[reason] for reason in WaitReason}

    @property
    def full(self) -> bool:
        """Whether no more records should be read for now."""
        return self._active.full or self._all_wait

    @property
    def _all_wait(self) -> bool:
        return sum(usage.full for usage in self._waiting.values()) >= self._topics

    @property
    def room(self) -> int:
        """How many more records may be active; at least 1."""
        return max(1, self._limit.records - self._active.records)

    async def wait_for_room(self, *, within: float) -> None:
        """Wait until more records may be read, for at most `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.full:
                    self._room.clear()
                    await self._room.wait()

    def blocked_topics(self) -> Collection[str]:
        """Return the topics of which no more should be read: too many of their records wait.

        A topic stays among them until a quarter of its room is free: a partition that is paused and
        resumed for each record would be fetched again each time.
        """
        for topic, usage in self._waiting.items():
            if usage.full:
                self._blocked.add(topic)
            elif usage.relaxed:
                self._blocked.discard(topic)
        return self._blocked

    def blocked_by(self) -> str | None:
        """Return why waiting records keep all others from being read; None if some have room."""
        if not self._all_wait:
            return None
        reasons = ", ".join(
            f"{reason}: {count}" for reason, count in self._reasons.most_common() if count
        )
        waiting = sum(usage.records for usage in self._waiting.values())
        return f"{waiting} records wait and no more are read ({reasons})"

    def is_progressing(self, task: asyncio.Task[object]) -> bool:
        """Return whether work on the record of a task has begun and does not wait."""
        record = self._records.get(task)
        return record is not None and record.begun and record.reason is None

    def reason_of(self, task: asyncio.Task[object]) -> WaitReason | None:
        """Return what the record of a task waits for; None if it does not wait, or has ended."""
        record = self._records.get(task)
        return None if record is None else record.reason

    def admit(self, task: asyncio.Task[object], *, size: int, topic: str = "") -> None:
        """Count a record of `topic`, of `size` bytes, until `task` is done."""
        record = self._records[task] = _Record(topic=topic, received=size)
        self._count(record, sign=1)
        task.add_done_callback(self._end)

    async def reserve_decoded(self, size: int) -> None:
        """Wait until `size` more bytes have room, and count them for this task's record.

        A record larger than the whole limit waits until it is the only one decoded. A record that
        is decoded again counts once.
        """
        if (record := self._record_of()) is None:
            return
        with self._recounted(record):
            record.decoded = 0
        while self._active.decoded and self._active.decoded + size > self._limit.size:
            self._room.clear()
            await self._room.wait()
        with self._recounted(record):
            record.decoded = size

    def mark_waiting(self, reason: WaitReason, task: asyncio.Task[object] | None = None) -> None:
        """Count a record as waiting, that of `task` if given; a later call changes the reason."""
        if (record := self._record_of(task)) is not None:
            with self._recounted(record):
                record.reason = reason

    def mark_active(self) -> None:
        """Count this task's record as active."""
        if (record := self._record_of()) is not None:
            with self._recounted(record):
                record.begun = True
                record.reason = None

    @contextlib.contextmanager
    def _recounted(self, record: _Record) -> Iterator[None]:
        self._count(record, sign=-1)
        yield
        self._count(record, sign=1)
        self._room.set()

    def _count(self, record: _Record, *, sign: int) -> None:
        if record.reason is None:
            self._active.count(record, sign=sign)
        else:
            self._waiting[record.topic].count(record, sign=sign)
            self._reasons[record.reason] += sign

    def _end(self, task: asyncio.Task[object]) -> None:
        self._count(self._records.pop(task), sign=-1)
        self._room.set()

    def _record_of(self, task: asyncio.Task[object] | None = None) -> _Record | None:
        task = task or asyncio.current_task()
        return None if task is None else self._records.get(task)
