"""What the log-relay needs of the outside."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sluice_log_relay.domain.step_pods import LogRange

__all__ = ["Pods", "PodsUnavailableError"]


class PodsUnavailableError(Exception):
    """The API server has given no definite answer; the message has no content of a log."""


class Pods(Protocol):
    """Reads pods and their logs."""

    async def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a pod, None if there is none.

        Raises:
            PodsUnavailableError: it is not known.
        """

    def log(
        self, namespace: str, name: str, part: LogRange, *, follow: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the log of a pod's main container, and yield its bytes as they come.

        Each line begins with its time.

        Raises:
            PodsUnavailableError: it cannot be opened, or breaks. A clean end raises nothing.
        """
