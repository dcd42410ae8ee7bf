"""What reads the logs of steps in the cluster, of which the gateway knows nothing itself."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sluice_gateway.domain.logged_steps import LoggedStep

__all__ = ["LogGoneError", "LogRefusedError", "LogRelay", "LogUnavailableError"]


class LogGoneError(Exception):
    """The step has no pod any more."""


class LogUnavailableError(Exception):
    """The log cannot be read now, or has broken off; the message has nothing of it."""


class LogRefusedError(LogUnavailableError):
    """The log-relay does not accept the gateway's secret."""


class LogRelay(Protocol):
    """Reads the logs of steps."""

    def open(
        self, step: LoggedStep, *, tail: int | None, since: int | None, follow: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the last `tail` lines of a log, of those since a second after 1970.

        The bytes are lines, each behind its time. An empty one is a sign of life.

        Raises:
            LogGoneError: the step has no log any more.
            LogRefusedError: the secret is not accepted.
            LogUnavailableError: it cannot be opened, or breaks off. A clean end raises nothing.
        """

    async def close(self) -> None:
        """Break off all that is open."""
