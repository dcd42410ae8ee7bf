"""Outcomes as the results topic holds them."""

from dataclasses import dataclass
from datetime import datetime

from sluice_argo.outcomes import Outcome
from sluice_contracts.records import OutgoingRecord

__all__ = ["AppendedOutcome", "OutcomeRecord"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeRecord:
    """An outcome and its record on the results topic."""

    outcome: Outcome
    observed_at: datetime
    record: OutgoingRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class AppendedOutcome:
    """An outcome that was appended to the results topic, without its content."""

    uid: str
    record_key: bytes
    attempt: int
    appended_at: datetime
    """Timestamp of the record."""
    observed_at: datetime
    """When the end was observed, by the clock of the process that observed it."""
