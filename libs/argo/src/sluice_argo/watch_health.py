"""How a watch is doing: for probes, metrics and the leader election."""

from collections.abc import Callable

__all__ = ["WatchHealth"]


class WatchHealth:
    """When bytes last came from the API server, and what has failed since."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._received_at: float | None = None
        self.listed = False
        self.error: str | None = "nothing was tried yet"
        """Why the last attempt failed; None if it did not."""

    def received(self) -> None:
        """Note that bytes came from the API server."""
        self._received_at = self._clock()
        self.error = None

    def idle_seconds(self) -> float:
        """Return the seconds since the last byte; infinite before the first."""
        return float("inf") if self._received_at is None else self._clock() - self._received_at
