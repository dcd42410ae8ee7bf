"""Decides what is done next to a Workflow; pure.

The promises rest on this order: an outcome is claimed on the object, both topics acknowledge it,
and the mark replaces the claim. After a while the finalizer is removed. A crash in between leaves
a state from which the same steps lead on. The same holds if another status-watcher takes these
steps at the same time.
"""

from dataclasses import dataclass

from sluice_argo.json_patch import Operation
from sluice_argo.outcomes import Claim as OutcomeClaim
from sluice_status_watcher.domain.patches import bookkeeping_patch, claim_patch
from sluice_status_watcher.domain.tracked_workflow import TrackedWorkflow, is_due
from sluice_status_watcher.domain.transitions import (
    claim_to_make,
    is_published,
    is_retried,
    open_claim,
)
from sluice_status_watcher.domain.workflow_state import WorkflowState

__all__ = [
    "AskResults",
    "CheckDeletion",
    "Claim",
    "Forget",
    "Patch",
    "Publish",
    "Rest",
    "Step",
    "Wait",
    "next_step",
]


@dataclass(frozen=True, slots=True)
class Wait:
    """Read the object again at this time."""

    until: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing: the object is as it should be, until the finalizer may be removed."""

    until: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim an outcome on the object; `takes_over` if another process had claimed it."""

    claim: OutcomeClaim
    operations: list[Operation]
    takes_over: bool


@dataclass(frozen=True, slots=True)
class AskResults:
    """Look on the results topic for the outcome of this attempt, or of a later one."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish what the state calls for: the outcome of `claim` if there is one.

    Nothing follows after that if the object is gone.
    """

    claim: OutcomeClaim | None = None
    unclaimed: bool = False
    """Whether an outcome is published though it could not be claimed."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Change the object; `retried` if that begins a new attempt."""

    operations: list[Operation]
    retried: bool


@dataclass(frozen=True, slots=True)
class CheckDeletion:
    """Look for the object by its name, apart from the workers; the answer is a new work item."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what is known; `unlabelled` if the object still exists, without Sluice's label."""

    unlabelled: bool = False


Step = Wait | Rest | Claim | AskResults | Publish | Patch | CheckDeletion | Forget


def next_step(tracked: TrackedWorkflow, state: WorkflowState, now: float, *, holder: str) -> Step:
    """Return what is to be done next.

    Args:
        tracked: what is known, including that `state` was seen.
        state: the state to act on; not older than what was published.
        now: seconds of the clock that `tracked` is dated by.
        holder: the name under which this process claims outcomes.
    """
    return (
        _disappearance(tracked, state)
        or _pause(tracked, state, now)
        or _towards_outcome(tracked, state, now, holder=holder)
        or _towards_status(tracked, state)
        or _completion(tracked, state, now)
    )


def _disappearance(tracked: TrackedWorkflow, state: WorkflowState) -> Step | None:
    """Return what to do if the object may only have lost the label of the watch; None if not.

    A finalizer keeps an object, so one that shows ours was not deleted. Only the last state of an
    object being deleted may show the finalizer that was removed last.
    """
    lifecycle = state.lifecycle
    if not (lifecycle.gone and lifecycle.has_finalizer):
        return None
    if not is_published(lifecycle, tracked.published.outcome):
        return CheckDeletion()
    return None if lifecycle.deleting else Forget(unlabelled=True)


def _pause(tracked: TrackedWorkflow, state: WorkflowState, now: float) -> Step | None:
    """Return what to wait for before anything else; None if there is nothing."""
    if state.lifecycle.gone:
        return None
    if tracked.reverted_patches and not is_due(tracked.not_before, now):
        return Wait(until=tracked.not_before)
    claim, awaited = open_claim(state.lifecycle, tracked.published.outcome), tracked.awaited
    if claim and awaited and awaited.claim == claim and not is_due(awaited.until, now):
        return Wait(until=awaited.until)
    return None


def _towards_outcome(
    tracked: TrackedWorkflow, state: WorkflowState, now: float, *, holder: str
) -> Step | None:
    """Return the next step towards an outcome that is claimed or has to be; None if none is."""
    lifecycle, outcome = state.lifecycle, tracked.published.outcome
    claim = open_claim(lifecycle, outcome)
    wanted = claim_to_make(lifecycle, outcome, holder=holder)
    if wanted is not None:
        if tracked.retry_at is None:
            operations = claim_patch(lifecycle, wanted)
            return Claim(wanted, operations, takes_over=claim is not None)
        if not tracked.is_overdue(now):
            return Wait(until=tracked.retry_at)
    about = claim or wanted
    if about is None:
        return None
    if tracked.maybe_published_by_other and not lifecycle.gone:
        return AskResults(attempt=about.outcome.attempt)
    return Publish(claim, unclaimed=wanted is not None)


def _towards_status(tracked: TrackedWorkflow, state: WorkflowState) -> Step | None:
    """Return the next step towards the event of this state; None if none is due."""
    lifecycle, outcome = state.lifecycle, tracked.published.outcome
    if is_published(lifecycle, outcome):
        return None
    blocked = lifecycle.phase.terminal or tracked.retry_at is not None
    if is_retried(lifecycle, outcome) and not blocked:
        # Before anything else, the object gets back the finalizer that keeps it.
        operations = bookkeeping_patch(lifecycle, outcome, releasable=False)
        if operations:
            return Patch(operations, retried=True)
    newer = state.sequence > tracked.published.sequence
    return Publish() if newer or lifecycle.gone else None


def _completion(tracked: TrackedWorkflow, state: WorkflowState, now: float) -> Step:
    """Return the next step once everything is published."""
    lifecycle, outcome = state.lifecycle, tracked.published.outcome
    if lifecycle.gone:
        return Forget()
    releasable = tracked.release_at is not None and is_due(tracked.release_at, now)
    operations = bookkeeping_patch(lifecycle, outcome, releasable=releasable)
    if not operations:
        return Rest(until=tracked.release_at if lifecycle.has_finalizer else None)
    if tracked.retry_at is not None:
        return Wait(until=tracked.retry_at)
    return Patch(operations, retried=is_retried(lifecycle, outcome))
