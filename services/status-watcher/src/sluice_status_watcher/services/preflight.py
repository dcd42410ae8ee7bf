"""Does once, before the turn, what the turn will need.

Who could not work must neither pass for ready, or a rollout would go on with it, nor take the turn
from one that can.
"""

from datetime import UTC, datetime

from sluice_status_watcher.handlers.reflector import WatchHealth
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.trying import until_it_works

__all__ = ["run_preflight"]


async def run_preflight(
    workflows: Workflows, published: ResultsReader, *, health: WatchHealth
) -> None:
    """List, and read the results topic to its end, until both have worked."""

    async def work() -> None:
        await workflows.list_page(limit=1, continue_token=None)
        await published.find({}, since=datetime.now(UTC))

    await until_it_works(work, health=health, complaint="could not do the work")
