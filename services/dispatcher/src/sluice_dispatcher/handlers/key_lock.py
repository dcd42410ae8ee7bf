"""Turns: what concerns one run happens one after another, in the order in which it was read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sluice_contracts.ids import RunKey
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlight

__all__ = ["Lanes"]


class Lanes:
    """Gives turns, first come first served, one at a time per run."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._locks: dict[RunKey, asyncio.Lock] = {}
        self._waiting: dict[RunKey, int] = {}

    @asynccontextmanager
    async def turn(self, key: RunKey | None) -> AsyncIterator[None]:
        """Wait for a turn; what concerns no run never waits."""
        if key is None:
            yield
            return
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            if lock.locked():
                self._in_flight.wait_for(WaitReason.SAME_RUN)
            async with lock:
                self._in_flight.go_on()
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]
