"""How an attempt ended, and the mark on the Workflow which says that the world was told."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_contracts.records import OutgoingRecord
from sluice_contracts.status import TERMINAL_PHASES, Phase

__all__ = ["Outcome", "Published", "later", "mark_of", "parse_mark", "parse_time"]

_MARK = re.compile(r"([1-9]\d{0,8})/([A-Za-z]+)@(\S*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The terminal event of one attempt; what `sluice.results` holds of it.

    `finished_at` tells one end of the same Workflow from the next one.
    """

    attempt: int
    phase: Phase
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """An outcome that the results topic holds, and the record that it stands in."""

    outcome: Outcome
    record: OutgoingRecord


def later(one: Outcome | None, other: Outcome | None) -> Outcome | None:
    """Give the outcome of the later attempt, `one` if they are of the same."""
    if one is None or other is None:
        return one or other
    return other if other.attempt > one.attempt else one


def mark_of(outcome: Outcome) -> str:
    """Write an outcome as the PUBLISHED annotation does: `attempt/phase@finishedAt`."""
    finished = outcome.finished_at
    moment = finished.astimezone(UTC).isoformat().replace("+00:00", "Z") if finished else ""
    return f"{outcome.attempt}/{outcome.phase}@{moment}"


def parse_mark(text: object) -> Outcome | None:
    """Read a PUBLISHED annotation; None if there is none or it is not one of ours."""
    match = _MARK.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in TERMINAL_PHASES:
        return None
    return Outcome(attempt=int(match[1]), phase=Phase(match[2]), finished_at=parse_time(match[3]))


def parse_time(text: object) -> datetime | None:
    """Read one of Kubernetes' times (RFC 3339), in UTC; None if there is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
