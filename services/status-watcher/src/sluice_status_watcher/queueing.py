"""Keeps what concerns one key in order, and different keys apart.

Knows nothing of what the items are. Work that fails is not swallowed: it ends `run`, and with it
the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Workers"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Workers(Generic[K, T]):
    """One worker per key that has work; at most `concurrency` of them at a time.

    Args:
        handle: works on one item; the next one of the same key waits for it.
        stage: tells which waiting items of a key a newer one makes superfluous: those of the same
            stage. None: it supersedes none and none supersedes it.
        concurrency: keys worked on side by side.
        max_pending: items waiting, over all keys, before `put` waits too.
    """

    def __init__(
        self,
        handle: Callable[[K, T], Awaitable[None]],
        *,
        stage: Callable[[T], Hashable | None],
        concurrency: int,
        max_pending: int,
    ) -> None:
        self._handle = handle
        self._stage = stage
        self._max_pending = max_pending
        self._slots = asyncio.Semaphore(concurrency)
        self._waiting: dict[K, list[T]] = {}
        self._pending = 0
        self._active: set[K] = set()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    def pending(self) -> int:
        """Count the items that wait."""
        return self._pending

    def active(self) -> int:
        """Count the keys that are being worked on or about to be."""
        return len(self._active)

    async def put(self, key: K, item: T) -> None:
        """Add an item, as soon as there is room."""
        await self._room.wait()
        self.put_now(key, item)

    def put_now(self, key: K, item: T) -> None:
        """Add an item, room or not: for what cannot wait and is bounded by other means."""
        waiting = self._waiting.setdefault(key, [])
        before = len(waiting)
        stage = self._stage(item)
        if stage is not None:
            waiting[:] = [older for older in waiting if self._stage(older) != stage]
        waiting.append(item)
        self._count(len(waiting) - before)
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
                self._count(-1)
                await self._handle(key, waiting.pop(0))
        finally:
            self._waiting.pop(key, None)
            self._active.discard(key)
            self._slots.release()

    def _count(self, difference: int) -> None:
        self._pending += difference
        if self._pending < self._max_pending:
            self._room.set()
        else:
            self._room.clear()
