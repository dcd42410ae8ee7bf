"""The records that the dispatcher holds: those it works on, and those that wait for something.

Both are bounded in number and bytes, apart from each other: a record that cannot go on yet leaves
its place to the next one, until the room for waiting is full, too.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluice_dispatcher.domain.wait_reason import WaitReason

__all__ = ["InFlight", "Limit"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How many records, and how many bytes of them, as received and decoded."""

    records: int
    size: int


@dataclass(kw_only=True)
class _Held:
    received: int
    decoded: int = 0
    reason: WaitReason | None = None
    begun: bool = False


class _Total:
    """Records and bytes of one kind."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self.records = 0
        self.received = 0
        self.decoded = 0

    @property
    def full(self) -> bool:
        size = self.received + self.decoded
        return self.records >= self._limit.records or size >= self._limit.size

    def add(self, held: _Held) -> None:
        self.records += 1
        self.received += held.received
        self.decoded += held.decoded

    def remove(self, held: _Held) -> None:
        self.records -= 1
        self.received -= held.received
        self.decoded -= held.decoded


class InFlight:
    """Counts records by the task that each is worked on in.

    `wait_for`, `go_on` and `decode` are called by that task itself, and do nothing in another.
    """

    def __init__(self, *, working: Limit, waiting: Limit) -> None:
        self._limit = working
        self._working = _Total(working)
        self._waiting = _Total(waiting)
        self._held: dict[asyncio.Task[object], _Held] = {}
        self._reasons: Counter[WaitReason] = Counter()
        self._room = asyncio.Event()

    @property
    def working(self) -> int:
        """Records being worked on."""
        return self._working.records

    @property
    def waiting(self) -> Mapping[WaitReason, int]:
        """Records that wait, by what they wait for."""
        return {reason: self._reasons[reason] for reason in WaitReason}

    @property
    def full(self) -> bool:
        """Whether no more records should be read for now."""
        return self._working.full or self._waiting.full

    @property
    def room(self) -> int:
        """How many more records may be worked on; at least 1."""
        return max(1, self._limit.records - self._working.records)

    async def until_room(self, *, within: float) -> None:
        """Wait until more records may be read, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.full:
                    self._room.clear()
                    await self._room.wait()

    def blocked_by(self) -> str | None:
        """Say why nothing is read because of what waits; None if that has room."""
        if not self._waiting.full:
            return None
        reasons = ", ".join(
            f"{reason}: {count}" for reason, count in self._reasons.most_common() if count
        )
        return f"{self._waiting.records} records wait and no more are read ({reasons})"

    def is_under_way(self, task: asyncio.Task[object]) -> bool:
        """Tell whether something is being done for the record of a task just now.

        Nothing is for one that waits, nor before it has gone on for the first time.
        """
        held = self._held.get(task)
        return held is not None and held.begun and held.reason is None

    def begin(self, task: asyncio.Task[object], *, size: int) -> None:
        """Hold a record of `size` bytes until `task` is done."""
        held = self._held[task] = _Held(received=size)
        self._working.add(held)
        task.add_done_callback(self._end)

    async def decode(self, size: int) -> None:
        """Wait until a record that takes up to `size` bytes once decoded has room; count it.

        One that is larger than all the room has it for itself. Decoded again, it counts once.
        """
        held = self._current()
        if held is None:
            return
        self._count_decoded(held, 0)
        while self._working.decoded and self._working.decoded + size > self._limit.size:
            self._room.clear()
            await self._room.wait()
        self._count_decoded(held, size)

    def wait_for(self, reason: WaitReason) -> None:
        """Count this task's record among those that wait; may be called again."""
        self.waiter(reason)()

    def waiter(self, reason: WaitReason) -> Callable[[], None]:
        """Give what counts this task's record among those that wait, whoever calls it."""
        held = self._current()

        def wait() -> None:
            if held is not None:
                self._move(held, reason)

        return wait

    def go_on(self) -> None:
        """Count this task's record among those that are worked on."""
        held = self._current()
        if held is not None:
            held.begun = True
            self._move(held, None)

    def _count_decoded(self, held: _Held, size: int) -> None:
        self._leave(held)
        held.decoded = size
        self._enter(held)

    def _move(self, held: _Held, reason: WaitReason | None) -> None:
        self._leave(held)
        held.reason = reason
        self._enter(held)
        self._room.set()

    def _enter(self, held: _Held) -> None:
        if held.reason is None:
            self._working.add(held)
        else:
            self._waiting.add(held)
            self._reasons[held.reason] += 1

    def _leave(self, held: _Held) -> None:
        if held.reason is None:
            self._working.remove(held)
        else:
            self._waiting.remove(held)
            self._reasons[held.reason] -= 1

    def _end(self, task: asyncio.Task[object]) -> None:
        self._leave(self._held.pop(task))
        self._room.set()

    def _current(self) -> _Held | None:
        task = asyncio.current_task()
        return None if task is None else self._held.get(task)
