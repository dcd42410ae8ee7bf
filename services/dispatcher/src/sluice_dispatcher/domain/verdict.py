"""How a record was finished, as logs and metrics name it."""

from enum import StrEnum
from typing import Final

from sluice_contracts.request_codec import ReceivedRun
from sluice_dispatcher.domain.models import LedgerEntry

__all__ = ["IS_WORKFLOW", "Verdict", "verdict_of_used_id"]


class Verdict(StrEnum):
    """How a record was finished."""

    CREATED = "created"
    """Its Workflow was created now."""
    SAME_RUN = "same run"
    """Its Workflow existed already: a redelivery, or the same request sent again."""
    REPLAYED = "replayed"
    """Its run has ended, the outcome is known and nothing is left to do."""
    REFUSED = "refused"
    """Its id belongs to a run with other content, or the command is not applicable."""
    REJECTED = "rejected"
    """It can never become a run."""
    EXPIRED = "expired"
    """`expires_at` had passed before the run could be started."""
    CANCELLED = "cancelled"
    """A command stopped the run before it was a Workflow."""
    APPLIED = "applied"
    """The command was executed, now or before."""


IS_WORKFLOW: Final = frozenset({Verdict.CREATED, Verdict.SAME_RUN})
"""After these, the run is a Workflow."""


def verdict_of_used_id(entry: LedgerEntry, received: ReceivedRun) -> Verdict:
    """Return the verdict on a request whose id has an outcome."""
    same = entry.fingerprint == received.request.fingerprint
    return Verdict.REPLAYED if same else Verdict.REFUSED
