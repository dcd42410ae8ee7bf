"""Turns: what concerns one run happens in order, and only so much happens at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from sluice_contracts.ids import RunKey

__all__ = ["Lanes"]


class Lanes:
    """Gives turns, first come first served, one at a time per run and `width` at a time in all."""

    def __init__(self, *, width: int) -> None:
        self._slots = asyncio.Semaphore(width)
        self._locks: dict[RunKey, asyncio.Lock] = {}
        self._waiting: dict[RunKey, int] = {}

    @asynccontextmanager
    async def turn(self, key: RunKey | None) -> AsyncIterator[None]:
        """Wait for a turn; without a key, only for a slot."""
        async with AsyncExitStack() as stack:
            if key is not None:
                await stack.enter_async_context(self._lane(key))
            # The slot comes last: who waits behind their own run must not keep others from working.
            await stack.enter_async_context(self._slots)
            yield

    @asynccontextmanager
    async def _lane(self, key: RunKey) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]
