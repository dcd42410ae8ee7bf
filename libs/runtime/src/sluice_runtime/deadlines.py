"""One time budget that is passed through many calls."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType

__all__ = ["Deadline", "DeadlineExceededError"]


class DeadlineExceededError(TimeoutError):
    """The time budget of an operation is spent."""


class Deadline:
    """A moment on the event loop's clock by which an operation must end; errors name it."""

    def __init__(self, what: str, budget: timedelta) -> None:
        self._what = what
        self._budget = budget
        self._ends = asyncio.get_running_loop().time() + budget.total_seconds()

    def enforce(self) -> AbstractAsyncContextManager[None]:
        """Run the body within the remaining time.

        Raises:
            DeadlineExceededError: the body did not finish in time. A TimeoutError that the body
                itself raises passes through.
        """
        return _Enforced(asyncio.timeout_at(self._ends), self)

    def __str__(self) -> str:
        """Return what must be done within how long."""
        return f"{self._what}: not done within {self._budget.total_seconds():g} s"


class _Enforced:
    """A class, because a generator takes twice as long, and each record has a deadline."""

    __slots__ = ("_deadline", "_scope")

    def __init__(self, scope: asyncio.Timeout, deadline: Deadline) -> None:
        self._scope = scope
        self._deadline = deadline

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError as e:
            raise DeadlineExceededError(str(self._deadline)) from e
        if isinstance(error, TimeoutError) and self._scope.expired():
            # The body has made one of its cancellation.
            raise DeadlineExceededError(str(self._deadline)) from error
