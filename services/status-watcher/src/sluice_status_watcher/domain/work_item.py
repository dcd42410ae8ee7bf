"""The items of the work queue, and what the queue has to know of them."""

from dataclasses import dataclass

from sluice_status_watcher.domain.workflow_state import WorkflowState

__all__ = ["Forgotten", "Missing", "Resync", "WorkItem", "coalescing_key", "needs_of", "size_of"]


@dataclass(frozen=True)
class Resync:
    """It is time to look at a Workflow again, though nothing new is known."""

    size: int = 0
    """Bytes of memory that its state took when last seen."""
    reread: bool = True
    """Whether the object may have changed since, and has to be read first."""


@dataclass(frozen=True)
class Missing:
    """A list did not hold the Workflow any more; `sequence` is the list's resourceVersion."""

    sequence: int


@dataclass(frozen=True)
class Forgotten:
    """The missing Workflow needs no event; `sequence` is that of the state without it."""

    sequence: int


WorkItem = WorkflowState | Resync | Missing | Forgotten


def size_of(item: WorkItem) -> int:
    """Return how many bytes of memory the item holds while it waits."""
    return item.size if isinstance(item, WorkflowState) else 0


def needs_of(item: WorkItem) -> int:
    """Return how many bytes of memory it takes to work on the item."""
    # A resync reads the object.
    return item.size if isinstance(item, WorkflowState | Resync) else 0


def coalescing_key(item: WorkItem) -> object:
    """Return a key; a newer item replaces the waiting ones of the same Workflow and key.

    Of several states in the same phase only the last one is published. One end never replaces
    another.
    """
    match item:
        case WorkflowState():
            lifecycle = item.lifecycle
            return lifecycle.phase, lifecycle.finished_at if lifecycle.phase.terminal else None
        case Resync() | Missing() | Forgotten():
            return type(item)
