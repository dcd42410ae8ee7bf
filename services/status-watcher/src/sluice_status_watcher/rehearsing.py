"""Does once, before the turn, what the turn will need.

Who could not work must neither pass for ready, or a rollout would go on with it, nor take the turn
from one that can.
"""

import asyncio
from datetime import UTC, datetime

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError
from sluice_status_watcher.ports import PublishedOutcomes, Workflows
from sluice_status_watcher.watching import WatchHealth

__all__ = ["rehearse"]

_log = structlog.get_logger(__name__)


async def rehearse(
    workflows: Workflows,
    published: PublishedOutcomes,
    *,
    health: WatchHealth,
    backoff: Backoff | None = None,
) -> None:
    """List, and read the results topic to its end, until both have worked."""
    backoff = backoff or Backoff()
    failures = 0
    while True:
        try:
            await workflows.list_page(limit=1, continue_token=None)
            await published.find({}, since=datetime.now(UTC))
        except (ApiError, ApiUnavailableError, KafkaUnavailableError) as e:
            failures += 1
            health.trouble = str(e)
            pause = backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
            _log.warning("could not do the work", error=str(e), retry_in=pause)
            await asyncio.sleep(pause)
        else:
            health.trouble = None
            return
