"""Decides what the world is to be told of a Workflow; pure.

Level-triggered: an event follows from the state that the Workflow is in and from what was last
told of it, never from the kind of change that brought the state here. Repeats, gaps and restarts
therefore make no difference.
"""

from array import array
from dataclasses import dataclass, replace

from sluice_argo.outcomes import Claim, Outcome, later_outcome
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_status_watcher.domain.steps import Node, step_of
from sluice_status_watcher.domain.workflow_state import Lifecycle, WorkflowState, without_details

__all__ = [
    "PublishedState",
    "attempt_of",
    "claim_to_make",
    "claimed_event",
    "is_published",
    "is_retried",
    "known_outcome",
    "open_claim",
    "transition",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedState:
    """What was last told of a Workflow, as small as can be: hashes, not values."""

    sequence: int = -1
    visible: int | None = None
    steps: bytes = b""
    """Eight for each step that was told: thousands of Workflows with thousands of steps may run."""
    outcome: Outcome | None = None


def transition(
    state: WorkflowState, told: PublishedState
) -> tuple[StatusEvent | None, PublishedState]:
    """Give the event that this state calls for, if any, and what will have been told after it.

    A state older than one already told, and one that looks the same, calls for none.
    """
    lifecycle = state.lifecycle
    outcome = known_outcome(lifecycle, told.outcome)
    told = replace(told, outcome=outcome)
    if state.sequence < told.sequence or is_published(lifecycle, outcome):
        return None, replace(told, sequence=max(state.sequence, told.sequence))
    attempt = attempt_of(lifecycle, outcome)
    digests = [hash(_hashable(node)) for node in state.steps]
    steps = array("q", sorted(digests)).tobytes()
    visible = _visible(state, attempt=attempt, steps=steps)
    if visible == told.visible:
        return None, replace(told, sequence=state.sequence)
    terminal = lifecycle.phase.terminal
    known = set() if terminal else set(array("q", told.steps))
    shown = tuple(
        node for node, digest in zip(state.steps, digests, strict=True) if digest not in known
    )
    event = _event(state, attempt=attempt, shown=shown)
    if not terminal:
        return event, replace(told, sequence=state.sequence, visible=visible, steps=steps)
    return event, PublishedState(
        sequence=state.sequence, outcome=_end_of(lifecycle, attempt=attempt)
    )


def open_claim(lifecycle: Lifecycle, outcome: Outcome | None) -> Claim | None:
    """Give the claim whose outcome is not known to be told; None if there is none."""
    claim = lifecycle.claim
    # A claim is a change of the state that it speaks of, so it is older than what bears it.
    if claim is None or claim.sequence >= int(lifecycle.resource_version):
        return None
    known = max(lifecycle.attempt - 1, outcome.attempt if outcome else 0)
    return claim if claim.outcome.attempt > known else None


def claim_to_make(lifecycle: Lifecycle, outcome: Outcome | None, *, holder: str) -> Claim | None:
    """Give the claim that `holder` has to make before an outcome is told.

    That of another, in its own name, or a new one. None if nothing is to be told, if the claim is
    its own, and of what is gone: that takes no claims.
    """
    if lifecycle.gone:
        return None
    claim = open_claim(lifecycle, outcome)
    if claim is not None:
        return replace(claim, holder=holder) if claim.holder != holder else None
    if not lifecycle.phase.terminal or is_published(lifecycle, outcome):
        return None
    ended = _end_of(lifecycle, attempt=attempt_of(lifecycle, outcome))
    return Claim(outcome=ended, sequence=int(lifecycle.resource_version), holder=holder)


def claimed_event(state: WorkflowState, claim: Claim) -> tuple[StatusEvent, PublishedState]:
    """Give the event that a claim speaks of, and what will have been told after it.

    In full while the Workflow stands at that end; in brief if it has been retried since.
    """
    lifecycle, ended = state.lifecycle, claim.outcome
    if _end_of(lifecycle, attempt=ended.attempt) != ended:
        state = without_details(state)
        lifecycle = replace(lifecycle, phase=ended.phase, finished_at=ended.finished_at)
    state = replace(state, lifecycle=lifecycle, sequence=claim.sequence)
    event = _event(state, attempt=ended.attempt, shown=state.steps)
    return event, PublishedState(sequence=claim.sequence, outcome=ended)


def known_outcome(lifecycle: Lifecycle, told: Outcome | None) -> Outcome | None:
    """Give the last outcome that was told, by the mark on the object or by our own memory."""
    return later_outcome(lifecycle.published, told)


def is_published(lifecycle: Lifecycle, outcome: Outcome | None) -> bool:
    """Tell whether the outcome told is the end that the Workflow is at: nothing more to tell.

    Deleted cannot be taken back; whatever a deleted Workflow does in its last seconds, it was told
    to be gone and stays so.
    """
    if outcome is None or outcome.attempt < lifecycle.attempt:
        return False
    if outcome.phase is Phase.DELETED:
        return lifecycle.deleting or lifecycle.gone
    same_end = lifecycle.finished_at == outcome.finished_at
    return lifecycle.phase.terminal and lifecycle.phase is not Phase.DELETED and same_end


def is_retried(lifecycle: Lifecycle, outcome: Outcome | None) -> bool:
    """Tell whether a Workflow whose end was told goes on: somebody has retried it."""
    return outcome is not None and not is_published(lifecycle, outcome)


def attempt_of(lifecycle: Lifecycle, outcome: Outcome | None) -> int:
    """Count the attempts: one more than the last one that ended, if that is over and done with."""
    if outcome is None or outcome.attempt < lifecycle.attempt:
        return lifecycle.attempt
    return outcome.attempt if is_published(lifecycle, outcome) else outcome.attempt + 1


def _end_of(lifecycle: Lifecycle, *, attempt: int) -> Outcome:
    return Outcome(attempt=attempt, phase=lifecycle.phase, finished_at=lifecycle.finished_at)


def _event(state: WorkflowState, *, attempt: int, shown: tuple[Node, ...]) -> StatusEvent:
    identity, lifecycle = state.identity, state.lifecycle
    return StatusEvent(
        event_id=event_id(identity.uid, str(attempt), str(state.sequence)),
        run_id=identity.key.run_id,
        tenant=identity.key.tenant,
        workflow=identity.workflow,
        workflow_name=identity.name,
        namespace=identity.namespace,
        uid=identity.uid,
        attempt=attempt,
        phase=lifecycle.phase,
        terminal=lifecycle.phase.terminal,
        progress=state.progress,
        message=state.message,
        steps=tuple(step_of(node) for node in shown),
        outputs=state.outputs,
        truncated=state.defect is not None,
        started_at=state.started_at,
        finished_at=lifecycle.finished_at,
        observed_at=state.observed_at,
        sequence=state.sequence,
    )


def _visible(state: WorkflowState, *, attempt: int, steps: bytes) -> int:
    """Hash all that a reader of events could tell apart."""
    return hash(
        (
            attempt,
            state.lifecycle.phase,
            state.progress,
            state.message,
            repr(state.outputs),
            state.started_at,
            state.lifecycle.finished_at,
            steps,
        )
    )


def _hashable(node: Node) -> tuple[object, ...]:
    # Output values are JSON, nearly always text, but may be anything.
    return (*node[:-1], repr(node.outputs))
