"""Every event reaches the queue under the uid of its Workflow."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sluice_argo.watch_event import ListComplete, WatchEvent
from sluice_status_watcher.domain.work_item import Missing, WorkItem
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.handlers.event_router import route_events
from sluice_status_watcher.services.workflow_parsing import WorkflowParser
from tests.unit.status_watcher.manifests import stored
from tests.unit.status_watcher.world import make_queue, moments

pytestmark = pytest.mark.looptime


async def routed(*events: WatchEvent | ListComplete, known: tuple[str, ...] = ()) -> list[object]:
    """Return uids, each with the phase of a state or the type of another item, as handled."""
    handled: list[object] = []

    async def handle(uid: str, item: WorkItem) -> None:
        what = item.lifecycle.phase if isinstance(item, WorkflowState) else type(item)
        handled.append((uid, what))

    async def stream() -> AsyncIterator[WatchEvent | ListComplete]:
        for event in events:
            yield event
            await moments(5)

    queue = make_queue()
    running = asyncio.create_task(queue.run(handle))
    await route_events(stream(), queue, WorkflowParser(), known=known)
    running.cancel()
    await asyncio.wait({running})
    return handled


def listed(*uids: str) -> ListComplete:
    return ListComplete("9", frozenset(uids))


async def test_workflow_absent_from_a_list_is_missing() -> None:
    handled = await routed(
        WatchEvent(stored("a")),
        WatchEvent(stored("b")),
        listed("uid-of-a", "uid-of-b"),
        WatchEvent(stored("b")),
        WatchEvent(stored("c")),
        listed("uid-of-b"),
        listed("uid-of-b"),
    )
    assert sorted(handled[4:], key=str) == [("uid-of-a", Missing), ("uid-of-c", Missing)]


async def test_recovered_workflow_absent_from_the_first_list_is_missing() -> None:
    assert await routed(listed(), known=("uid-of-a",)) == [("uid-of-a", Missing)]
