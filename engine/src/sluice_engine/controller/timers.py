"""When to reconcile which key again: one heap, one timer."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import datetime

from sluice_engine.store.resources import Key

__all__ = ["Timers"]


class Timers:
    """Calls back with a key when its time comes; a key has one time, the last one set.

    Args:
        due: called with the key.
    """

    def __init__(self, due: Callable[[Key], None]) -> None:
        self._due = due
        self._heap: list[tuple[float, int, Key]] = []
        self._order = itertools.count()
        self._times: dict[Key, float] = {}
        self._handle: asyncio.TimerHandle | None = None

    def set(self, key: Key, moment: datetime) -> None:
        """Set the time of a key."""
        at = moment.timestamp()
        if self._times.get(key) != at:
            self._times[key] = at
            heapq.heappush(self._heap, (at, next(self._order), key))
            self._arm()

    def clear(self, key: Key) -> None:
        """Remove the time of a key."""
        self._times.pop(key, None)

    def close(self) -> None:
        """Remove all times."""
        self._times.clear()
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._heap:
            # A day at most: far times stay exact although the clock may be set.
            delay = min(max(0.0, self._heap[0][0] - time.time()), 86400.0)
            self._handle = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = time.time()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._times.get(key) == at:
                del self._times[key]
                self._due(key)
        self._arm()
