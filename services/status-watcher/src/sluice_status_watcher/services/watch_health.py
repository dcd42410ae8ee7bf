"""Repeats a step until it succeeds, and notes in the health of the watch why it does not."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from sluice_argo.watch_health import WatchHealth
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError
from sluice_runtime.retry import retry_forever

__all__ = ["retry_until_healthy"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")


async def retry_until_healthy(
    step: Callable[[], Awaitable[T]], *, health: WatchHealth, event: str
) -> T:
    """Return what the step returns; log `event` and note the error in `health` until then."""

    def on_retry(error: Exception, pause: float) -> None:
        health.failed(error)
        _log.warning(event, error=str(error), retry_in=pause)

    result = await retry_forever(
        step,
        on=(ApiError, ApiUnavailableError, KafkaUnavailableError),
        backoff=Backoff(),
        on_retry=on_retry,
    )
    health.worked()
    return result
