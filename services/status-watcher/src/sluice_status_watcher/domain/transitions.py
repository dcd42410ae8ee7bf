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
from sluice_status_watcher.domain.workflow_state import Observed, Standing, in_brief

__all__ = [
    "Told",
    "attempt_of",
    "claim_to_make",
    "claimed_event",
    "is_reopened",
    "is_settled",
    "known_outcome",
    "open_claim",
    "transition",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was last told of a Workflow, as small as can be: hashes, not values."""

    sequence: int = -1
    visible: int | None = None
    steps: bytes = b""
    """Eight for each step that was told: thousands of Workflows with thousands of steps may run."""
    outcome: Outcome | None = None


def transition(observed: Observed, told: Told) -> tuple[StatusEvent | None, Told]:
    """Give the event that this state calls for, if any, and what will have been told after it.

    A state older than one already told, and one that looks the same, calls for none.
    """
    standing = observed.standing
    outcome = known_outcome(standing, told.outcome)
    told = replace(told, outcome=outcome)
    if observed.sequence < told.sequence or is_settled(standing, outcome):
        return None, replace(told, sequence=max(observed.sequence, told.sequence))
    attempt = attempt_of(standing, outcome)
    digests = [hash(_hashable(node)) for node in observed.steps]
    steps = array("q", sorted(digests)).tobytes()
    visible = _visible(observed, attempt=attempt, steps=steps)
    if visible == told.visible:
        return None, replace(told, sequence=observed.sequence)
    terminal = standing.phase.terminal
    known = set() if terminal else set(array("q", told.steps))
    shown = tuple(
        node for node, digest in zip(observed.steps, digests, strict=True) if digest not in known
    )
    event = _event(observed, attempt=attempt, shown=shown)
    if not terminal:
        return event, replace(told, sequence=observed.sequence, visible=visible, steps=steps)
    return event, Told(sequence=observed.sequence, outcome=_end_of(standing, attempt=attempt))


def open_claim(standing: Standing, outcome: Outcome | None) -> Claim | None:
    """Give the claim whose outcome is not known to be told; None if there is none."""
    claim = standing.claim
    # A claim is a change of the state that it speaks of, so it is older than what bears it.
    if claim is None or claim.sequence >= int(standing.resource_version):
        return None
    known = max(standing.attempt - 1, outcome.attempt if outcome else 0)
    return claim if claim.outcome.attempt > known else None


def claim_to_make(standing: Standing, outcome: Outcome | None, *, holder: str) -> Claim | None:
    """Give the claim that `holder` has to make before an outcome is told.

    That of another, in its own name, or a new one. None if nothing is to be told, if the claim is
    its own, and of what is gone: that takes no claims.
    """
    if standing.gone:
        return None
    claim = open_claim(standing, outcome)
    if claim is not None:
        return replace(claim, holder=holder) if claim.holder != holder else None
    if not standing.phase.terminal or is_settled(standing, outcome):
        return None
    ended = _end_of(standing, attempt=attempt_of(standing, outcome))
    return Claim(outcome=ended, sequence=int(standing.resource_version), holder=holder)


def claimed_event(observed: Observed, claim: Claim) -> tuple[StatusEvent, Told]:
    """Give the event that a claim speaks of, and what will have been told after it.

    In full while the Workflow stands at that end; in brief if it has been retried since.
    """
    standing, ended = observed.standing, claim.outcome
    if _end_of(standing, attempt=ended.attempt) != ended:
        observed = in_brief(observed)
        standing = replace(standing, phase=ended.phase, finished_at=ended.finished_at)
    observed = replace(observed, standing=standing, sequence=claim.sequence)
    event = _event(observed, attempt=ended.attempt, shown=observed.steps)
    return event, Told(sequence=claim.sequence, outcome=ended)


def known_outcome(standing: Standing, told: Outcome | None) -> Outcome | None:
    """Give the last outcome that was told, by the mark on the object or by our own memory."""
    return later_outcome(standing.published, told)


def is_settled(standing: Standing, outcome: Outcome | None) -> bool:
    """Tell whether the outcome told is the end that the Workflow is at: nothing more to tell.

    Deleted cannot be taken back; whatever a deleted Workflow does in its last seconds, it was told
    to be gone and stays so.
    """
    if outcome is None or outcome.attempt < standing.attempt:
        return False
    if outcome.phase is Phase.DELETED:
        return standing.deleting or standing.gone
    same_end = standing.finished_at == outcome.finished_at
    return standing.phase.terminal and standing.phase is not Phase.DELETED and same_end


def is_reopened(standing: Standing, outcome: Outcome | None) -> bool:
    """Tell whether a Workflow whose end was told goes on: somebody has retried it."""
    return outcome is not None and not is_settled(standing, outcome)


def attempt_of(standing: Standing, outcome: Outcome | None) -> int:
    """Count the attempts: one more than the last one that ended, if that is over and done with."""
    if outcome is None or outcome.attempt < standing.attempt:
        return standing.attempt
    return outcome.attempt if is_settled(standing, outcome) else outcome.attempt + 1


def _end_of(standing: Standing, *, attempt: int) -> Outcome:
    return Outcome(attempt=attempt, phase=standing.phase, finished_at=standing.finished_at)


def _event(observed: Observed, *, attempt: int, shown: tuple[Node, ...]) -> StatusEvent:
    identity, standing = observed.identity, observed.standing
    return StatusEvent(
        event_id=event_id(identity.uid, str(attempt), str(observed.sequence)),
        run_id=identity.key.run_id,
        tenant=identity.key.tenant,
        workflow=identity.workflow,
        workflow_name=identity.name,
        namespace=identity.namespace,
        uid=identity.uid,
        attempt=attempt,
        phase=standing.phase,
        terminal=standing.phase.terminal,
        progress=observed.progress,
        message=observed.message,
        steps=tuple(step_of(node) for node in shown),
        outputs=observed.outputs,
        truncated=observed.defect is not None,
        started_at=observed.started_at,
        finished_at=standing.finished_at,
        observed_at=observed.observed_at,
        sequence=observed.sequence,
    )


def _visible(observed: Observed, *, attempt: int, steps: bytes) -> int:
    """Hash all that a reader of events could tell apart."""
    return hash(
        (
            attempt,
            observed.standing.phase,
            observed.progress,
            observed.message,
            repr(observed.outputs),
            observed.started_at,
            observed.standing.finished_at,
            steps,
        )
    )


def _hashable(node: Node) -> tuple[object, ...]:
    # Output values are JSON, nearly always text, but may be anything.
    return (*node[:-1], repr(node.outputs))
