"""Lets requests wait until the view holds what the topics hold."""

import asyncio
from datetime import timedelta
from typing import Protocol

from sluice_runtime.durations import seconds

__all__ = ["ReadBarrier"]


class Projection(Protocol):
    """The projection of the view, as `sluice_runtime.projection.projector.Projector`."""

    async def wait_caught_up(self, *, as_of: float) -> None:
        """Wait until the view holds all that the topics held then, on the loop's clock."""

    def waiting_for(self) -> str | None:
        """Return why the topics were never read to their end; None if they were."""


class ReadBarrier:
    """Waits for `patience` at most, and lets no more than `most` requests wait at a time."""

    def __init__(self, projection: Projection, *, patience: timedelta, most: int) -> None:
        self._projection = projection
        self._patience = patience
        self._most = most
        self._waiting = 0

    async def catch_up(self) -> str | None:
        """See `RunView.catch_up`."""
        if (reading := self._projection.waiting_for()) is not None:
            return reading
        if self._waiting >= self._most:
            return "too many requests wait until the topics are read"
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds(self._patience)):
                await self._projection.wait_caught_up(as_of=asyncio.get_running_loop().time())
        except TimeoutError:
            return "the topics could not be read to their end"
        finally:
            self._waiting -= 1
        return None
