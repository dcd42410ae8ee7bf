"""What there is to know of one Workflow, and what that means for the queue that it waits in."""

from dataclasses import dataclass

from sluice_status_watcher.domain.workflow_state import Observed

__all__ = ["Due", "Forgotten", "News", "Vanished", "needs_of", "size_of", "stage_of"]


@dataclass(frozen=True)
class Due:
    """The time has come to look at a Workflow again, though nothing new is known of it."""

    size: int = 0
    """Bytes of memory that it took when last seen."""


@dataclass(frozen=True)
class Vanished:
    """A list did not hold the Workflow any more; `sequence` is the list's resourceVersion."""

    sequence: int


@dataclass(frozen=True)
class Forgotten:
    """The Workflow that had vanished needs nothing more."""


News = Observed | Due | Vanished | Forgotten


def size_of(news: News) -> int:
    """Tell how many bytes of memory the news holds; see `Workers`."""
    return news.size if isinstance(news, Observed) else 0


def needs_of(news: News) -> int:
    """Tell how many bytes of memory it takes to work on the news; see `Workers`."""
    # Who looks at a Workflow again reads it.
    return news.size if isinstance(news, Observed | Due) else 0


def stage_of(news: News) -> object:
    """Tell which waiting news a newer one makes superfluous; see `Workers`.

    Of several states in the same phase only the last one is told; an end is never dropped in
    favour of another end.
    """
    match news:
        case Observed():
            standing = news.standing
            return standing.phase, standing.finished_at if standing.phase.terminal else None
        case Due():
            return Due
        case Vanished() | Forgotten():
            return type(news)
