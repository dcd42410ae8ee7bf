"""One time budget that is passed through many calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

__all__ = ["Deadline", "DeadlineExceededError"]


class DeadlineExceededError(TimeoutError):
    """The time budget of an operation is spent."""


class Deadline:
    """A moment on the event loop's clock by which an operation must end; errors name it."""

    def __init__(self, what: str, budget: timedelta) -> None:
        self._what = what
        self._budget = budget
        self._ends = asyncio.get_running_loop().time() + budget.total_seconds()

    @asynccontextmanager
    async def enforce(self) -> AsyncIterator[None]:
        """Run the body within the remaining time.

        Raises:
            DeadlineExceededError: the body did not finish in time. A TimeoutError that the body
                itself raises passes through.
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
