"""Routes what the reflector yields to the work queue, by Workflow."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime

import structlog

from sluice_argo.watch_event import ListComplete, WatchEvent
from sluice_status_watcher.domain.work_item import Missing, WorkItem
from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.services.workflow_parsing import WorkflowParser

__all__ = ["route_events"]

_log = structlog.get_logger(__name__)


async def route_events(
    events: AsyncIterator[WatchEvent | ListComplete],
    queue: WorkQueue[str, WorkItem],
    parser: WorkflowParser,
    *,
    known: Iterable[str] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Queue every state of a Workflow, and an item for each Workflow that a list does not hold.

    Args:
        events: what the reflector yields.
        queue: receives the items, by uid.
        parser: parses the Workflows.
        known: uids that the reconciler knows before anything was seen.
        now: dates the states.
    """
    known = set(known)
    foreign: set[str] = set()
    async for event in events:
        if isinstance(event, ListComplete):
            for uid in known - event.uids:
                await queue.add(uid, Missing(sequence=int(event.resource_version)))
            known, foreign = set(event.uids), foreign & event.uids
            continue
        uid = event.workflow["metadata"]["uid"]
        (known.discard if event.gone else known.add)(uid)
        try:
            state = await parser.parse(event.workflow, observed_at=now(), gone=event.gone)
        except ForeignWorkflowError as e:
            if uid not in foreign:
                foreign.add(uid)
                name = event.workflow["metadata"]["name"]
                _log.warning("Workflow ignored: not a run", name=name, uid=uid, error=str(e))
            continue
        await queue.add(uid, state)
