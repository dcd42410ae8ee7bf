"""How the watch is doing: for probes, metrics and the leader election."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError
from sluice_runtime.retry import retry_forever

__all__ = ["WatchHealth", "retry_until_healthy"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")


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


async def retry_until_healthy(
    step: Callable[[], Awaitable[T]], *, health: WatchHealth, event: str
) -> T:
    """Return what the step returns; log `event` and note the error in `health` until then."""

    def on_retry(error: Exception, pause: float) -> None:
        health.error = str(error)
        _log.warning(event, error=str(error), retry_in=pause)

    result = await retry_forever(
        step,
        on=(ApiError, ApiUnavailableError, KafkaUnavailableError),
        backoff=Backoff(),
        on_retry=on_retry,
    )
    health.error = None
    return result
