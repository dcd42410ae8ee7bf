"""What the results topic says of an outcome."""

from dataclasses import dataclass
from datetime import datetime

from sluice_argo.outcomes import Outcome
from sluice_contracts.records import OutgoingRecord

__all__ = ["AppendedOutcome", "OutcomeRecord"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeRecord:
    """An outcome that the results topic holds, and its record."""

    outcome: Outcome
    record: OutgoingRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class AppendedOutcome:
    """That the results topic has an outcome of a Workflow, without its content."""

    uid: str
    record_key: bytes
    attempt: int
    appended_at: datetime
    """The record's own timestamp."""
