"""How an attempt ended, and what the Workflow's PUBLISHED annotation says of that.

First a claim: the outcome is about to be told. Then a mark: the world was told.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import TERMINAL_PHASES, Phase

__all__ = [
    "Appended",
    "Claim",
    "Outcome",
    "Published",
    "claim_text",
    "later",
    "mark_text",
    "parse_claim",
    "parse_mark",
    "parse_time",
]

_MARK = re.compile(r"([1-9][0-9]{0,8})/([A-Za-z]+)@(\S*)")
# No mark, to whoever reads marks only.
_CLAIM = re.compile(r"telling (\S+) as ([0-9]{1,19}) by (\S+)")

# The other two are of runs that never became a Workflow.
_ENDS = TERMINAL_PHASES - {Phase.REJECTED, Phase.EXPIRED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The terminal event of one attempt; what `sluice.results` holds of it.

    `finished_at` tells one end of the same Workflow from the next one.
    """

    attempt: int
    phase: Phase
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What the terminal event of an attempt will be, put down before it is told.

    Made by a change of the very state that it speaks of, so there is one for each end. Whoever
    finds it open tells that outcome under that sequence, and no other: however many tell it, it is
    the same event.
    """

    outcome: Outcome
    sequence: int
    teller: str
    """The process that is about to tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """An outcome that the results topic holds, and the record that it stands in."""

    outcome: Outcome
    record: OutgoingRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """That the results topic has an outcome, without what it says."""

    uid: str
    record_key: bytes
    attempt: int
    appended_at: datetime
    """By the record's own timestamp."""


def later(one: Outcome | None, other: Outcome | None) -> Outcome | None:
    """Give the outcome of the later attempt, `one` if they are of the same."""
    if one is None or other is None:
        return one or other
    return other if other.attempt > one.attempt else one


def mark_text(outcome: Outcome) -> str:
    """Write a mark: `attempt/phase@finishedAt`."""
    finished = outcome.finished_at
    moment = finished.astimezone(UTC).isoformat().replace("+00:00", "Z") if finished else ""
    return f"{outcome.attempt}/{outcome.phase}@{moment}"


def parse_mark(text: object) -> Outcome | None:
    """Read a mark; None if it is none."""
    match = _MARK.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _ENDS:
        return None
    return Outcome(attempt=int(match[1]), phase=Phase(match[2]), finished_at=parse_time(match[3]))


def claim_text(claim: Claim) -> str:
    """Write a claim: `telling MARK as SEQUENCE by TELLER`."""
    return f"telling {mark_text(claim.outcome)} as {claim.sequence} by {claim.teller}"


def parse_claim(text: object) -> Claim | None:
    """Read a claim; None if it is none."""
    match = _CLAIM.fullmatch(text) if isinstance(text, str) else None
    outcome = parse_mark(match[1]) if match else None
    if match is None or outcome is None:
        return None
    return Claim(outcome=outcome, sequence=int(match[2]), teller=match[3])


def parse_time(text: object) -> datetime | None:
    """Read one of Kubernetes' times (RFC 3339), in UTC; None if there is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
