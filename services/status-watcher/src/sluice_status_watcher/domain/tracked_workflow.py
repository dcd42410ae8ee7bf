"""What is kept in memory of one Workflow."""

from dataclasses import dataclass

from sluice_argo.outcomes import Claim
from sluice_status_watcher.domain.transitions import PublishedState
from sluice_status_watcher.domain.workflow_state import Lifecycle, WorkflowState

__all__ = ["Awaited", "Run"]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A claim, and the loop time before which nothing is to be done about it."""

    claim: Claim
    until: float


@dataclass(slots=True)
class Run:
    """A Workflow whose object exists, as far as is known. All times are the loop's."""

    told: PublishedState
    release_at: float | None = None
    """When the finalizer may go; None before the outcome is told."""
    last: WorkflowState | None = None
    """As last seen, in brief; None where nothing is left to do to the object."""
    size: int = 0
    """Bytes of memory that it took when last seen."""
    stale: bool = False
    """The object has changed, or may have: read it before the next patch."""
    failures: int = 0
    """Of reads and patches, since the last that worked."""
    doubtful: bool = False
    """Somebody else may have told the outcome that is about to be told."""
    awaited: Awaited | None = None
    unclaimed_since: float | None = None
    """Since when the end that it is at cannot be claimed."""
    undone: int = 0
    """How often in a row patches were made and did not hold."""
    held_until: float = 0.0
    """When to look at it again after that."""

    @property
    def lifecycle(self) -> Lifecycle | None:
        """How it stood when last seen."""
        return self.last.lifecycle if self.last else None

    def rest(self) -> None:
        """Keep no more than what was told: of finished Workflows there can be very many."""
        self.last = self.awaited = None
        self.doubtful, self.size = False, 0
