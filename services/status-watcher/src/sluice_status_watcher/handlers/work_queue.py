"""Keeps what concerns one key in order, and different keys apart.

Knows nothing of what the items are. Work that fails is not swallowed: it ends `run`, and with it
the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from sluice_status_watcher.handlers.byte_budget import ByteBudget

__all__ = ["WorkQueue"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class WorkQueue(Generic[K, T]):
    """One worker per key that has work; at most `concurrency` of them at a time.

    Args:
        handle: works on one item; the next one of the same key waits for it.
        stage: tells which waiting items of a key a newer one makes superfluous: those of the same
            stage. None: it supersedes none and none supersedes it.
        size: tells about how many bytes of memory an item holds while it waits.
        needs: tells about how many it takes to work on it.
        concurrency: keys worked on side by side.
        max_pending: items waiting, over all keys, before `put` waits too.
        max_bytes: of the items that wait, and as many again of those that are worked on. One that
            is larger waits, or is worked on, alone.
    """

    def __init__(
        self,
        handle: Callable[[K, T], Awaitable[None]],
        *,
        stage: Callable[[T], Hashable | None],
        size: Callable[[T], int],
        needs: Callable[[T], int],
        concurrency: int,
        max_pending: int,
        max_bytes: int,
    ) -> None:
        self._handle = handle
        self._stage = stage
        self._size = size
        self._needs = needs
        self._max_pending = max_pending
        self._max_bytes = max_bytes
        self._budget = ByteBudget(max_bytes)
        self._slots = asyncio.Semaphore(concurrency)
        self._waiting: dict[K, list[T]] = {}
        self._pending = 0
        self._pending_bytes = 0
        self._active: set[K] = set()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._room = asyncio.Event()

    def pending(self) -> int:
        """Count the items that wait."""
        return self._pending

    def held_bytes(self) -> int:
        """Count the bytes of the items that wait and of those that are worked on."""
        return self._pending_bytes + self._budget.held

    def active(self) -> int:
        """Count the keys that are being worked on or about to be."""
        return len(self._active)

    async def put(self, key: K, item: T) -> None:
        """Add an item, as soon as there is room."""
        while not self._has_room(item):
            self._room.clear()
            await self._room.wait()
        self.put_now(key, item)

    def put_now(self, key: K, item: T) -> None:
        """Add an item, room or not: for what cannot wait and is bounded by other means."""
        waiting = self._waiting.setdefault(key, [])
        stage = self._stage(item)
        for older in waiting if stage is not None else ():
            if self._stage(older) == stage:
                self._left(older)
        if stage is not None:
            waiting[:] = [older for older in waiting if self._stage(older) != stage]
        waiting.append(item)
        self._pending += 1
        self._pending_bytes += self._size(item)
        if key not in self._active:
            self._active.add(key)
            self._ready.put_nowait(key)

    async def run(self) -> None:
        """Work for ever.

        Raises:
            ExceptionGroup: a worker failed; the others have been cancelled.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.acquire()
                key = await self._ready.get()
                group.create_task(self._work(key), name=f"worker {key}")

    async def _work(self, key: K) -> None:
        try:
            while waiting := self._waiting.get(key):
                # It waits where newer ones can replace it until there is memory to work on it.
                async with self._budget.hold(self._needs(waiting[0])):
                    await self._handle(key, self._taken(waiting))
        finally:
            self._waiting.pop(key, None)
            self._active.discard(key)
            self._slots.release()

    def _has_room(self, item: T) -> bool:
        if self._pending >= self._max_pending:
            return False
        return not self._pending_bytes or self._pending_bytes + self._size(item) <= self._max_bytes

    def _taken(self, waiting: list[T]) -> T:
        self._left(waiting[0])
        return waiting.pop(0)

    def _left(self, item: T) -> None:
        self._pending -= 1
        self._pending_bytes -= self._size(item)
        self._room.set()
