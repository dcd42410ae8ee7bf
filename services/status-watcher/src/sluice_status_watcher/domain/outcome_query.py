"""What to ask the results topic about a Workflow; pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_status_watcher.domain.transitions import is_published
from sluice_status_watcher.domain.workflow_state import WorkflowState

__all__ = ["OutcomeQuery", "query_for"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeQuery:
    """Asks for the outcome of a Workflow, which cannot have been published before `since`."""

    uid: str
    attempt: int
    record_key: bytes
    since: datetime


def query_for(state: WorkflowState) -> OutcomeQuery | None:
    """Return what the object leaves open; None if its annotation answers it.

    A running Workflow may have been retried before its outcome was annotated. So it is asked about
    as well: its last attempt ended at some time since the Workflow was created.
    """
    lifecycle = state.lifecycle
    if is_published(lifecycle, lifecycle.published):
        return None
    ended = lifecycle.finished_at if lifecycle.phase.terminal else None
    if lifecycle.claim is not None and lifecycle.claim.outcome.finished_at != ended:
        # The claim is of an earlier end.
        ended = None
    return OutcomeQuery(
        uid=lifecycle.uid,
        attempt=lifecycle.attempt,
        record_key=str(state.identity.key).encode(),
        since=ended or state.created_at or datetime.min.replace(tzinfo=UTC),
    )
