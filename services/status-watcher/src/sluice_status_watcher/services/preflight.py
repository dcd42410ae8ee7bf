"""Tries once, before leadership, what a leader needs.

A standby that cannot reach Kafka or the API server must not report ready, as a rollout would
proceed. It must not become leader either.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from sluice_argo.watch_health import WatchHealth
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.watch_health import retry_until_healthy

__all__ = ["run_preflight"]

_log = structlog.get_logger(__name__)


async def run_preflight(
    namespaces: Sequence[tuple[Workflows, WatchHealth]],
    results: ResultsReader,
    *,
    health: WatchHealth,
) -> None:
    """List Workflows and read the results topic to its end, until both have worked.

    The health of a namespace notes that it is denied. It does not keep the others from being
    watched; but one of them has to be listed.
    """

    async def check() -> None:
        denials = [await _denial(workflows, seen) for workflows, seen in namespaces]
        if None not in denials and denials[0] is not None:
            raise denials[0]
        await results.find({}, since=datetime.now(UTC))

    await retry_until_healthy(check, health=health, event="preflight failed")


async def _denial(
    workflows: Workflows, health: WatchHealth
) -> ApiError | ApiUnavailableError | None:
    """Try to list; return why the namespace is denied, None if it is not."""
    try:
        await workflows.list_page(limit=1, continue_token=None)
    except (ApiError, ApiUnavailableError) as e:
        health.failed(e)
        if not health.is_denied:
            raise
        _log.warning("namespace denied", namespace=workflows.namespace, error=str(e))
        return e
    health.worked()
    return None
