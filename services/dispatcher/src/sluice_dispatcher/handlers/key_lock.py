"""Records of one run are handled one after another, in the order in which they were read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from sluice_contracts.ids import RunKey
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlightBudget

__all__ = ["KeyLock"]


class KeyLock:
    """One lock per run, first come first served; it exists while a record holds or awaits it."""

    def __init__(self, budget: InFlightBudget) -> None:
        self._budget = budget
        self._locks: WeakValueDictionary[RunKey, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: RunKey | None) -> AsyncIterator[None]:
        """Hold the lock of a run; without a key, nothing is locked."""
        if key is None:
            yield
            return
        lock = self._locks.setdefault(key, asyncio.Lock())
        if lock.locked():
            self._budget.mark_waiting(WaitReason.SAME_RUN)
        async with lock:
            self._budget.mark_active()
            yield
