"""Bounds the memory of work that goes on side by side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["ByteBudget"]


class ByteBudget:
    """Bytes that tasks share; a task that needs more than all of them gets them alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._freed = asyncio.Event()
        # First come, first served: otherwise a task that needs much would wait without end.
        self._entrance = asyncio.Lock()

    @property
    def held(self) -> int:
        """The bytes held now."""
        return self._held

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold so many bytes in the body, as soon as they are free."""
        async with self._entrance:
            while self._held and self._held + size > self._limit:
                self._freed.clear()
                await self._freed.wait()
            self._held += size
        try:
            yield
        finally:
            self._held -= size
            self._freed.set()
