"""Which waiting items a newer one replaces."""

from datetime import UTC, datetime

from sluice_status_watcher.domain.work_item import Missing, Resync, WorkItem, coalescing_key
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow
from tests.unit.status_watcher.manifests import FINISHED, stored


def state(**status: str) -> WorkflowState:
    return parse_workflow(stored(status=status), observed_at=datetime.now(UTC))


def test_newer_state_replaces_only_those_of_the_same_phase() -> None:
    running, progressed = state(phase="Running"), state(phase="Running", progress="1")
    assert coalescing_key(running) == coalescing_key(progressed)
    assert coalescing_key(running) != coalescing_key(state(phase="Pending"))


def test_no_end_and_no_other_item_is_replaced_by_an_end() -> None:
    one, other = (
        state(phase="Failed", finishedAt=moment) for moment in (FINISHED, "2026-01-02T00:00:00Z")
    )
    items: list[WorkItem] = [one, other, Resync(), Missing(sequence=9)]
    assert len({coalescing_key(item) for item in items}) == len(items)
