"""What became of a record: the word for logs and metrics."""

from enum import StrEnum

__all__ = ["Verdict"]


class Verdict(StrEnum):
    """How a record was finished."""

    CREATED = "created"
    """Its Workflow was created now."""
    SAME_RUN = "same run"
    """Its Workflow was there already: a redelivery, or the same request once more."""
    REPLAYED = "replayed"
    """Its run has ended, the outcome is known and nothing is left to do."""
    REFUSED = "refused"
    """Its id belongs to a run of other content, or the command cannot apply."""
    REJECTED = "rejected"
    """It can never become a run."""
    EXPIRED = "expired"
    """It came too late."""
    APPLIED = "applied"
    """The command was carried out, now or before."""
