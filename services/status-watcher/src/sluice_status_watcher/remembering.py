"""What is kept in memory of one Workflow."""

from dataclasses import dataclass

from sluice_status_watcher.observing import Observed, Standing
from sluice_status_watcher.outcomes import Claim
from sluice_status_watcher.transitions import Told

__all__ = ["Awaited", "Run"]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A claim of somebody else, and the loop time until which he is left to keep it."""

    claim: Claim
    until: float


@dataclass(slots=True)
class Run:
    """A Workflow whose object exists, as far as is known."""

    told: Told
    release_at: float | None = None
    """Loop time from which the finalizer may go; None before the outcome is told."""
    last: Observed | None = None
    """As last seen, in brief; None where nothing is left to do to the object."""
    stale: bool = False
    """The object has changed, or may have: read it before the next patch."""
    failures: int = 0
    """Of reads and patches, since the last that worked."""
    tried: Claim | None = None
    """The last claim that was to be made, and `tries` times so."""
    tries: int = 0
    awaited: Awaited | None = None

    @property
    def standing(self) -> Standing | None:
        """How it stood when last seen."""
        return self.last.standing if self.last else None
