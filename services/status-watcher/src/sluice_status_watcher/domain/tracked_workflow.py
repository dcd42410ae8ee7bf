"""What is kept in memory of one Workflow, and how each result changes it; pure.

All times are seconds of the event loop's clock.
"""

from dataclasses import dataclass, field, replace

from sluice_argo.outcomes import Claim, Outcome
from sluice_status_watcher.domain.transitions import (
    PublishedState,
    is_published,
    known_outcome,
    open_claim,
)
from sluice_status_watcher.domain.workflow_state import WorkflowState, without_details

__all__ = ["CLAIM_PATIENCE_S", "AwaitedClaim", "TrackedWorkflow", "is_due"]

CLAIM_PATIENCE_S = 5.0
"""A process that has claimed an outcome publishes it at once, unless it was killed or Kafka is
away."""

_UNCLAIMED_S = 30.0
# Clocks have a resolution, so a timer may fire a moment before its time.
_RESOLUTION_S = 0.001


def is_due(at: float, now: float) -> bool:
    """Return whether a time has come."""
    return at - now < _RESOLUTION_S


@dataclass(frozen=True, slots=True)
class AwaitedClaim:
    """A claim, and the time until which its holder is left alone with it."""

    claim: Claim
    until: float


@dataclass(frozen=True, slots=True)
class TrackedWorkflow:
    """A Workflow whose object exists, as far as is known."""

    published: PublishedState = field(default_factory=PublishedState)
    release_at: float | None = None
    """When the finalizer may be removed; None while the current end is not published."""
    last: WorkflowState | None = None
    """The last state without its details; None if nothing is left to do to the object."""
    size: int = 0
    """Bytes of memory that the state took when last seen."""
    failures: int = 0
    """Requests that failed, since the last patch that worked."""
    retry_at: float | None = None
    """When to try a failed patch again; None if no patch has failed since the last read."""
    maybe_published_by_other: bool = False
    """Whether another process may have published the outcome that is about to be published."""
    awaited: AwaitedClaim | None = None
    unclaimed_since: float | None = None
    """Since when the end that the Workflow is at could not be claimed."""
    reverted_patches: int = 0
    """How often in a row patches were accepted, and reverted by another writer."""
    not_before: float = 0.0
    """When to look at the Workflow again after that."""

    @property
    def sequence(self) -> int:
        """Sequence of the newest state that was seen or published."""
        return max(self.published.sequence, self.last.sequence if self.last else -1)

    def seen(
        self, state: WorkflowState, *, holder: str, release_after: float, now: float
    ) -> "TrackedWorkflow":
        """Return what is known once this state was seen, by the process called `holder`."""
        lifecycle = state.lifecycle
        outcome = known_outcome(lifecycle, self.published.outcome)
        published, release_at = replace(self.published, outcome=outcome), None
        settled = is_published(lifecycle, outcome)
        if settled:
            published = replace(published, sequence=max(published.sequence, state.sequence))
            # An end published by another process waits in full: its clock is not ours.
            same = outcome == self.published.outcome and self.release_at is not None
            release_at = self.release_at if same else now + release_after
        last = self.last if state is self.last else without_details(state)
        awaited, claim = self.awaited, open_claim(lifecycle, outcome)
        known = awaited is not None and awaited.claim == claim
        if claim is not None and claim.holder != holder and not known:
            awaited = AwaitedClaim(claim, until=now + CLAIM_PATIENCE_S)
        claimable = claim is not None or (lifecycle.phase.terminal and not settled)
        return replace(
            self,
            published=published,
            release_at=release_at,
            unclaimed_since=self.unclaimed_since if claimable else None,
            last=last,
            size=self.size if last is self.last else state.size,
            awaited=awaited,
        )

    def resumed(self) -> "TrackedWorkflow":
        """Return what is known when a new state is about to be worked on."""
        return replace(self, retry_at=None)

    def patched(self) -> "TrackedWorkflow":
        """Return what is known after a patch that worked."""
        return replace(self, failures=0)

    def conflicted(self) -> "TrackedWorkflow":
        """Return what is known after a patch whose test failed."""
        return replace(self, failures=self.failures + 1)

    def failed(self) -> "TrackedWorkflow":
        """Return what is known after a request without a clear answer, or with a refusal."""
        # The patch may have been made, and other processes may get through.
        return replace(self, failures=self.failures + 1, maybe_published_by_other=True)

    def retrying(self, *, at: float) -> "TrackedWorkflow":
        """Return what is known once the next patch has a time."""
        return replace(self, retry_at=at)

    def claimed(self) -> "TrackedWorkflow":
        """Return what is known after a claim was made."""
        return replace(self, unclaimed_since=None)

    def claim_failed(self, *, now: float) -> "TrackedWorkflow":
        """Return what is known after a claim could not be made."""
        since = now if self.unclaimed_since is None else self.unclaimed_since
        return replace(self, unclaimed_since=since)

    def is_overdue(self, now: float) -> bool:
        """Return whether the outcome has waited for its claim for too long."""
        return self.unclaimed_since is not None and now - self.unclaimed_since >= _UNCLAIMED_S

    def answered(self, outcome: Outcome | None) -> "TrackedWorkflow":
        """Return what is known after the results topic was read: `outcome` is what it held."""
        if outcome is None:
            return replace(self, maybe_published_by_other=False)
        published = replace(self.published, outcome=outcome)
        return replace(
            self,
            published=published,
            maybe_published_by_other=False,
            release_at=None,
            retry_at=None,
        )

    def announced(self, published: PublishedState) -> "TrackedWorkflow":
        """Return what is known once Kafka has acknowledged what the state called for."""
        return replace(
            self, published=published, release_at=None, retry_at=None, unclaimed_since=None
        )

    def unacknowledged(self, claim: Claim | None, *, retry_at: float) -> "TrackedWorkflow":
        """Return what is known after Kafka gave no answer in time."""
        # The object is read before the next attempt, whatever the watch brings until then.
        awaited = self.awaited if claim is None else AwaitedClaim(claim, until=retry_at)
        return replace(self, failures=self.failures + 1, awaited=awaited)

    def reverted(self, *, not_before: float) -> "TrackedWorkflow":
        """Return what is known after another writer has reverted patches that were accepted."""
        return replace(self, reverted_patches=self.reverted_patches + 1, not_before=not_before)

    def at_rest(self) -> "TrackedWorkflow":
        """Return what is worth keeping when the object is as it should be."""
        tracked = replace(self, failures=0, reverted_patches=0)
        released = self.release_at is not None
        if not released or self.last is None or self.last.lifecycle.has_finalizer:
            return tracked
        # There may be very many finished Workflows.
        return replace(tracked, last=None, awaited=None, maybe_published_by_other=False, size=0)
