"""Tries once, before leadership, what a leader needs.

A standby that cannot reach Kafka or the API server must not report ready, as a rollout would
proceed. It must not become leader either.
"""

from datetime import UTC, datetime

from sluice_argo.watch_health import WatchHealth
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.watch_health import retry_until_healthy

__all__ = ["run_preflight"]


async def run_preflight(
    workflows: Workflows, results: ResultsReader, *, health: WatchHealth
) -> None:
    """List Workflows and read the results topic to its end, until both have worked."""

    async def check() -> None:
        await workflows.list_page(limit=1, continue_token=None)
        await results.find({}, since=datetime.now(UTC))

    await retry_until_healthy(check, health=health, event="preflight failed")
