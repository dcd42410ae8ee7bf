"""From the API server's watch to the workers: which news concern which run."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime

import structlog

from sluice_status_watcher.domain.work_item import Missing, WorkItem
from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError
from sluice_status_watcher.handlers.reflector import ListComplete, WatchEvent
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.services.workflow_parsing import parse_workflow_aside

__all__ = ["route_events"]

_log = structlog.get_logger(__name__)


async def route_events(
    changes: AsyncIterator[WatchEvent | ListComplete],
    workers: WorkQueue[str, WorkItem],
    *,
    known_uids: Iterable[str] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Hand every change to the worker of its Workflow; tell the workers of those that are gone.

    `known_uids` are the uids that the workers know of before anything was seen.
    """
    known = set(known_uids)
    foreign: set[str] = set()
    async for change in changes:
        if isinstance(change, ListComplete):
            for uid in known - change.uids:
                await workers.put(uid, Missing(sequence=int(change.resource_version)))
            known, foreign = set(change.uids), foreign & change.uids
            continue
        uid = change.workflow["metadata"]["uid"]
        (known.discard if change.gone else known.add)(uid)
        try:
            state = await parse_workflow_aside(change.workflow, observed_at=now(), gone=change.gone)
        except ForeignWorkflowError as e:
            if uid not in foreign:
                foreign.add(uid)
                _log.warning(
                    "not a run, left alone", name=change.workflow["metadata"]["name"], why=str(e)
                )
            continue
        await workers.put(uid, state)
