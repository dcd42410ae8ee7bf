"""What there is to know of one Workflow, and what that means for the queue that it waits in."""

from dataclasses import dataclass

from sluice_status_watcher.domain.workflow_state import WorkflowState

__all__ = ["Forgotten", "Missing", "Resync", "WorkItem", "coalescing_key", "needs_of", "size_of"]


@dataclass(frozen=True)
class Resync:
    """The time has come to look at a Workflow again, though nothing new is known of it."""

    size: int = 0
    """Bytes of memory that it took when last seen."""


@dataclass(frozen=True)
class Missing:
    """A list did not hold the Workflow any more; `sequence` is the list's resourceVersion."""

    sequence: int


@dataclass(frozen=True)
class Forgotten:
    """The Workflow that had vanished needs nothing more."""


WorkItem = WorkflowState | Resync | Missing | Forgotten


def size_of(news: WorkItem) -> int:
    """Tell how many bytes of memory the news holds; see `WorkQueue`."""
    return news.size if isinstance(news, WorkflowState) else 0


def needs_of(news: WorkItem) -> int:
    """Tell how many bytes of memory it takes to work on the news; see `WorkQueue`."""
    # Who looks at a Workflow again reads it.
    return news.size if isinstance(news, WorkflowState | Resync) else 0


def coalescing_key(news: WorkItem) -> object:
    """Tell which waiting news a newer one makes superfluous; see `WorkQueue`.

    Of several states in the same phase only the last one is told; an end is never dropped in
    favour of another end.
    """
    match news:
        case WorkflowState():
            lifecycle = news.lifecycle
            return lifecycle.phase, lifecycle.finished_at if lifecycle.phase.terminal else None
        case Resync():
            return Resync
        case Missing() | Forgotten():
            return type(news)
