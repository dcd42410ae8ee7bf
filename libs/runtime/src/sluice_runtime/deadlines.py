"""One budget of time that travels through many calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

__all__ = ["Deadline", "DeadlineExceededError"]


class DeadlineExceededError(TimeoutError):
    """The time set aside for something has run out."""


class Deadline:
    """A moment on the event loop's clock by which something named has to be over."""

    def __init__(self, what: str, budget: timedelta) -> None:
        self._what = what
        self._budget = budget
        self._ends = asyncio.get_running_loop().time() + budget.total_seconds()

    def left(self) -> float:
        """Give the seconds left, 0 once it has passed."""
        return max(0.0, self._ends - asyncio.get_running_loop().time())

    @asynccontextmanager
    async def enforce(self) -> AsyncIterator[None]:
        """Run the body within what is left.

        Raises:
            DeadlineExceededError: it did not finish in time; a TimeoutError of the body's own
                passes through as it is.
        """
        scope = asyncio.timeout_at(self._ends)
        try:
            async with scope:
                yield
        except TimeoutError as e:
            if scope.expired():
                budget = self._budget.total_seconds()
                raise DeadlineExceededError(f"{self._what}: not done within {budget:g} s") from e
            raise
