"""Tries what the work begins with until it works, and says meanwhile what is wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError
from sluice_status_watcher.handlers.reflector import WatchHealth

__all__ = ["until_it_works"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")


async def until_it_works(
    step: Callable[[], Awaitable[T]], *, health: WatchHealth, complaint: str
) -> T:
    """Give what the step gives; `complaint` is what the log says of each failure."""
    backoff = Backoff()
    failures = 0
    while True:
        try:
            done = await step()
        except (ApiError, ApiUnavailableError, KafkaUnavailableError) as e:
            failures += 1
            health.trouble = str(e)
            pause = backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
            _log.warning(complaint, error=str(e), retry_in=pause)
            await asyncio.sleep(pause)
        else:
            health.trouble = None
            return done
