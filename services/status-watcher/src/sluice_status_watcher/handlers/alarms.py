"""Rings once per key, later; a key has one alarm at most."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Alarms"]

K = TypeVar("K")


class Alarms(Generic[K]):
    """Calls `ring(key)` when a key's time has come; no tasks, so nothing that could die."""

    def __init__(self, ring: Callable[[K], None]) -> None:
        self._ring = ring
        self._set: dict[K, asyncio.TimerHandle] = {}

    def set(self, key: K, *, at: float) -> None:
        """Ring at this time of the loop's clock, and not at the time set before."""
        self.cancel(key)
        self._set[key] = asyncio.get_running_loop().call_at(at, self._due, key)

    def cancel(self, key: K) -> None:
        """Do not ring."""
        if handle := self._set.pop(key, None):
            handle.cancel()

    def _due(self, key: K) -> None:
        del self._set[key]
        self._ring(key)
