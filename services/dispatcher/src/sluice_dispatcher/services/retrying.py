"""Trying again in place: infrastructure heals, and until then nothing is lost by waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiUnavailableError

__all__ = ["Retrying"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Retrying:
    """Repeats a step until there is a clear answer; `width` steps are taken at a time.

    Who waits to try again takes no room: what is stuck must not keep others from working. Steps
    therefore never contain one another.
    """

    def __init__(self, backoff: Backoff, *, width: int, on_retry: Callable[[str], None]) -> None:
        self._backoff = backoff
        self._slots = asyncio.Semaphore(width)
        self._on_retry = on_retry

    async def until_clear(self, step: Callable[[], Awaitable[T]], *, what: str) -> T:
        """Run `step` until neither Kafka nor Kubernetes leaves its outcome open.

        A step is therefore one whose repetition does no harm. Its other errors pass through.
        """
        failures = 0
        while True:
            try:
                async with self._slots:
                    return await step()
            except (KafkaUnavailableError, ApiUnavailableError) as e:
                failures += 1
                retry_after = e.retry_after if isinstance(e, ApiUnavailableError) else 0.0
                pause = self._backoff.delay(failures, at_least=retry_after)
                self._on_retry(what)
                _log.warning(
                    "trying again", what=what, error=str(e), failures=failures, retry_in=pause
                )
                await asyncio.sleep(pause)
