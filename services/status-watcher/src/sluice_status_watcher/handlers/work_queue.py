"""A delaying work queue: keeps the items of one key in order, and different keys apart.

As client-go's `util/workqueue`, but with items instead of bare keys. It knows nothing of what the
items are. An error of the worker ends `run`, and with it the process.
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
        coalescing_key: a newer item replaces waiting items of the same key and coalescing key.
            None: it replaces none, and none replaces it.
        size: bytes of memory that an item holds while it waits, by estimate.
        needs: bytes of memory that it takes to work on an item, by estimate.
        concurrency: keys worked on side by side.
        max_pending: items waiting, over all keys, before `add` waits.
        max_bytes: of the items that wait, and as many again of those that are worked on. A larger
            item waits, or is worked on, alone.
    """

    def __init__(
        self,
        *,
        coalescing_key: Callable[[T], Hashable | None],
        size: Callable[[T], int],
        needs: Callable[[T], int],
        concurrency: int,
        max_pending: int,
        max_bytes: int,
    ) -> None:
        self._coalescing_key = coalescing_key
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
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def pending(self) -> int:
        """Return the number of items that wait."""
        return self._pending

    def held_bytes(self) -> int:
        """Return the bytes of the items that wait and of those that are worked on."""
        return self._pending_bytes + self._budget.held

    def active(self) -> int:
        """Return the number of keys that are being worked on or about to be."""
        return len(self._active)

    async def add(self, key: K, item: T) -> None:
        """Add an item, as soon as there is room."""
        while not self._has_room(item):
            self._room.clear()
            await self._room.wait()
        self.add_now(key, item)

    def add_now(self, key: K, item: T) -> None:
        """Add an item without waiting for room: for items that are bounded by other means."""
        waiting = self._waiting.setdefault(key, [])
        coalescing_key = self._coalescing_key(item)
        if coalescing_key is not None:
            for older in waiting:
                if self._coalescing_key(older) == coalescing_key:
                    self._left(older)
            waiting[:] = [one for one in waiting if self._coalescing_key(one) != coalescing_key]
        waiting.append(item)
        self._pending += 1
        self._pending_bytes += self._size(item)
        if key not in self._active:
            self._active.add(key)
            self._ready.put_nowait(key)

    def add_at(self, key: K, item: T, *, at: float) -> None:
        """Add an item at this time of the loop's clock, in place of the one scheduled before."""
        self.cancel(key)
        self._timers[key] = asyncio.get_running_loop().call_at(at, self._fire, key, item)

    def cancel(self, key: K) -> None:
        """Drop the item of this key that `add_at` has scheduled."""
        if timer := self._timers.pop(key, None):
            timer.cancel()

    async def run(self, handle: Callable[[K, T], Awaitable[None]]) -> None:
        """Call `handle` for one item after another of each key, without end.

        Raises:
            ExceptionGroup: `handle` failed; the other workers have been cancelled.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.acquire()
                key = await self._ready.get()
                group.create_task(self._work(key, handle), name=f"worker {key}")

    async def _work(self, key: K, handle: Callable[[K, T], Awaitable[None]]) -> None:
        try:
            while waiting := self._waiting.get(key):
                # The item waits where newer ones can replace it until there is memory for it.
                async with self._budget.hold(self._needs(waiting[0])):
                    await handle(key, self._taken(waiting))
        finally:
            self._waiting.pop(key, None)
            self._active.discard(key)
            self._slots.release()

    def _fire(self, key: K, item: T) -> None:
        del self._timers[key]
        self.add_now(key, item)

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
