"""Gives costly work a share of the event loop's time: one piece at a time, peer after peer."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

__all__ = ["LoopShare"]

# Timers come by the millisecond: shorter pauses are made up for later.
_SHORTEST_PAUSE_S: Final = 0.002

T = TypeVar("T")


class LoopShare:
    """Runs work step by step, and leaves the loop to others between the steps.

    All work together gets at most `share` of the time: after a step that took 5 ms, the next one
    waits for 15 ms if `share` is one quarter. Peers alternate, whatever each of
    them sends.

    Args:
        share: between 0 and 1.
        clock: gives seconds; it measures what a step takes, and when the next may begin.
    """

    def __init__(self, *, share: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share = share
        self._clock = clock
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._next = clock()

    async def run(self, peer: str, work: Generator[None, None, T]) -> T:
        """Run the peer's work to its end, and return what it returns."""
        async with self._place(peer):
            while True:
                pause = self._next - self._clock()
                await asyncio.sleep(pause if pause >= _SHORTEST_PAUSE_S else 0)
                began = self._clock()
                try:
                    next(work)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    used = self._clock() - began
                    self._next = max(self._next, began) + used / self._share

    @asynccontextmanager
    async def _place(self, peer: str) -> AsyncIterator[None]:
        """Hold the one place; who waits for it is called by peer, in order of first arrival."""
        if self._busy:
            called = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(peer, deque()).append(called)
            try:
                await called
            except asyncio.CancelledError:
                if not called.cancelled():
                    self._call_next()
                raise
        self._busy = True
        try:
            yield
        finally:
            self._call_next()

    def _call_next(self) -> None:
        """Hand the place on: it stays taken meanwhile, so that nobody comes in between."""
        while self._waiting:
            peer, queue = next(iter(self._waiting.items()))
            called = queue.popleft()
            del self._waiting[peer]
            if queue:
                self._waiting[peer] = queue
            if not called.done():
                called.set_result(None)
                return
        self._busy = False
