"""How a watch is doing: for probes, metrics and the leader election."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

__all__ = ["WatchHealth"]

_DENIALS: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


class WatchHealth:
    """When bytes last came from the API server, and what has failed since."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._received_at: float | None = None
        self.listed = False
        self.error: str | None = "nothing was tried yet"
        """Why the last attempt failed; None if it did not."""
        self.is_denied = False
        """Whether the API server answered that this namespace is not ours to see, or not there."""

    def received(self) -> None:
        """Note that bytes came from the API server."""
        self._received_at = self._clock()
        self.worked()

    def worked(self) -> None:
        """Note that the last attempt did not fail."""
        self.error, self.is_denied = None, False

    def failed(self, error: Exception) -> None:
        """Note why the last attempt failed."""
        self.error = str(error)
        self.is_denied = getattr(error, "status", None) in _DENIALS

    def idle_seconds(self) -> float:
        """Return the seconds since the last byte; infinite before the first."""
        return float("inf") if self._received_at is None else self._clock() - self._received_at
