"""Decides which event a state of a Workflow calls for; pure.

Level-triggered: an event follows from the state and from what was last published, never from the
kind of change that led to the state. So repeats, gaps and restarts make no difference.
"""

from array import array
from dataclasses import dataclass, replace

from sluice_argo.outcomes import MAX_ATTEMPT, Claim, Outcome, later_outcome
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_status_watcher.domain.steps import Node, group_of, step_of
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
    """What was last published of a Workflow; hashes instead of values, to save memory."""

    sequence: int = -1
    visible: int | None = None
    steps: bytes = b""
    """Eight bytes for each step published: thousands of Workflows may have thousands of steps."""
    outcome: Outcome | None = None


def transition(
    state: WorkflowState, published: PublishedState
) -> tuple[StatusEvent | None, PublishedState]:
    """Return the event that this state calls for, if any, and what is published after that.

    A state older than the one published calls for no event, and neither does one that looks the
    same to readers.
    """
    lifecycle = state.lifecycle
    outcome = known_outcome(lifecycle, published.outcome)
    published = replace(published, outcome=outcome)
    if state.sequence < published.sequence or is_published(lifecycle, outcome):
        return None, replace(published, sequence=max(state.sequence, published.sequence))
    attempt = attempt_of(lifecycle, outcome)
    digests = [hash(_hashable(node)) for node in state.steps]
    steps = array("q", sorted(digests)).tobytes()
    visible = _visible(state, attempt=attempt, steps=steps)
    if visible == published.visible:
        return None, replace(published, sequence=state.sequence)
    terminal = lifecycle.phase.terminal
    known = set() if terminal else set(array("q", published.steps))
    shown = tuple(
        node for node, digest in zip(state.steps, digests, strict=True) if digest not in known
    )
    event = _event(state, attempt=attempt, shown=shown)
    if not terminal:
        return event, replace(published, sequence=state.sequence, visible=visible, steps=steps)
    return event, PublishedState(
        sequence=state.sequence, outcome=_end_of(lifecycle, attempt=attempt)
    )


def open_claim(lifecycle: Lifecycle, outcome: Outcome | None) -> Claim | None:
    """Return the claim whose outcome is not known to be published; None if there is none."""
    claim = lifecycle.claim
    # A claim is a patch of the state that it describes, so its sequence is an older version.
    if claim is None or claim.sequence >= int(lifecycle.resource_version):
        return None
    known = max(lifecycle.attempt - 1, outcome.attempt if outcome else 0)
    return claim if claim.outcome.attempt > known else None


def claim_to_make(lifecycle: Lifecycle, outcome: Outcome | None, *, holder: str) -> Claim | None:
    """Return the claim that `holder` has to make before it publishes an outcome.

    An open claim of another holder is taken over under the new name. None if there is no outcome
    to publish, if the claim is the holder's own, or if the object is gone.
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
    """Return the event that a claim describes, and what is published after that.

    The event has its details as long as the Workflow is at that end. After a retry they belong to
    another attempt and are left out.
    """
    lifecycle, ended = state.lifecycle, claim.outcome
    if _end_of(lifecycle, attempt=ended.attempt) != ended:
        state = without_details(state)
        lifecycle = replace(lifecycle, phase=ended.phase, finished_at=ended.finished_at)
    state = replace(state, lifecycle=lifecycle, sequence=claim.sequence)
    event = _event(state, attempt=ended.attempt, shown=state.steps)
    return event, PublishedState(sequence=claim.sequence, outcome=ended)


def known_outcome(lifecycle: Lifecycle, published: Outcome | None) -> Outcome | None:
    """Return the last outcome published, by the annotation of the object or by our own memory."""
    return later_outcome(lifecycle.published, published)


def is_published(lifecycle: Lifecycle, outcome: Outcome | None) -> bool:
    """Return whether `outcome`, which is published, is the end that the Workflow is at.

    Deleted is final: after that event, an end that a deleted Workflow reaches in its last seconds
    is not published.
    """
    if outcome is None or outcome.attempt < lifecycle.attempt:
        return False
    if outcome.attempt >= MAX_ATTEMPT:
        # No annotation could record a later attempt: without an end to that, patches would repeat.
        return True
    if outcome.phase is Phase.DELETED:
        return lifecycle.deleting or lifecycle.gone
    # The time alone is not enough: Argo's has whole seconds, and a retry can end within one.
    return lifecycle.phase is outcome.phase and lifecycle.finished_at == outcome.finished_at


def is_retried(lifecycle: Lifecycle, outcome: Outcome | None) -> bool:
    """Return whether the Workflow goes on after the end that was published."""
    return outcome is not None and not is_published(lifecycle, outcome)


def attempt_of(lifecycle: Lifecycle, outcome: Outcome | None) -> int:
    """Return the number of the attempt that the Workflow is in."""
    if outcome is None or outcome.attempt < lifecycle.attempt:
        return lifecycle.attempt
    return outcome.attempt if is_published(lifecycle, outcome) else outcome.attempt + 1


def _end_of(lifecycle: Lifecycle, *, attempt: int) -> Outcome:
    return Outcome(attempt=attempt, phase=lifecycle.phase, finished_at=lifecycle.finished_at)


def _event(state: WorkflowState, *, attempt: int, shown: tuple[Node, ...]) -> StatusEvent:
    identity, lifecycle, facts = state.identity, state.lifecycle, state.identity.request
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
        steps=tuple(step_of(node) for node in shown if not node.is_group),
        groups=tuple(group_of(node) for node in shown if node.is_group),
        waiting_for=state.waiting_for,
        outputs=state.outputs,
        labels=dict(facts.labels),
        priority=facts.priority,
        parent=facts.parent,
        requested_by=facts.requested_by,
        accepted_at=facts.accepted_at,
        last_command=facts.last_command,
        truncated=state.defect is not None,
        problem=state.problem,
        started_at=state.started_at,
        finished_at=lifecycle.finished_at,
        observed_at=state.observed_at,
        sequence=state.sequence,
    )


def _visible(state: WorkflowState, *, attempt: int, steps: bytes) -> int:
    """Return a hash of everything that a reader of events can distinguish."""
    return hash(
        (
            attempt,
            state.lifecycle.phase,
            state.progress,
            state.message,
            repr(state.outputs),
            repr(state.waiting_for),
            repr(state.identity.request.last_command),
            state.started_at,
            state.lifecycle.finished_at,
            steps,
        )
    )


def _hashable(node: Node) -> tuple[object, ...]:
    # Output values are JSON: nearly always text, but they may be of any type.
    return (*node[:-1], repr(node.outputs))
