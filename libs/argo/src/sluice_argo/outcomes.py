"""The outcome of one attempt of a run, and its record in a Workflow's annotations.

The status-watcher claims an outcome (OUTCOME_CLAIM), publishes it, and then marks the Workflow
(PUBLISHED). The dispatcher reads the mark before it retries a run.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.status import TERMINAL_PHASES, Phase

__all__ = [
    "MAX_ATTEMPT",
    "Claim",
    "Outcome",
    "decode_claim",
    "decode_outcome",
    "encode_claim",
    "encode_outcome",
    "later_outcome",
]

MAX_ATTEMPT = 999_999_999
"""The highest attempt that annotations record."""

_MARK = re.compile(r"([1-9][0-9]{0,8})/([A-Za-z]+)@(\S*)")
_SEQUENCE = re.compile(r"[0-9]{1,19}")

# Rejected and Expired runs never became a Workflow.
_ENDS = TERMINAL_PHASES - {Phase.REJECTED, Phase.EXPIRED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The part of an attempt's terminal event that the Workflow's annotations record.

    `phase` and `finished_at` distinguish one end of a Workflow from the next.
    """

    attempt: int
    phase: Phase
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The terminal event that a process is about to publish.

    The claim is a patch of exactly the state that it describes, so each end has one claim. Any
    process that finds an open claim publishes that outcome under that sequence, and no other: the
    event is the same one, however many processes publish it.
    """

    outcome: Outcome
    sequence: int
    holder: str
    """Name of the process that is about to publish; 1 or more characters without spaces."""


def later_outcome(one: Outcome | None, other: Outcome | None) -> Outcome | None:
    """Return the outcome of the later attempt; `one` if both are of the same attempt."""
    if one is None or other is None:
        return one or other
    return other if other.attempt > one.attempt else one


def encode_outcome(outcome: Outcome) -> str:
    """Return the mark of an outcome: `attempt/phase@finishedAt`."""
    finished = outcome.finished_at
    moment = finished.astimezone(UTC).isoformat().replace("+00:00", "Z") if finished else ""
    return f"{outcome.attempt}/{outcome.phase}@{moment}"


def decode_outcome(text: object) -> Outcome | None:
    """Return the outcome that a mark records; None if the text is not a mark."""
    match = _MARK.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _ENDS:
        return None
    finished_at = parse_timestamp(match[3])
    return Outcome(attempt=int(match[1]), phase=Phase(match[2]), finished_at=finished_at)


def encode_claim(claim: Claim) -> str:
    """Return a claim as JSON: `{"outcome": MARK, "sequence": DIGITS, "holder": NAME}`.

    The sequence is a string of digits, because it may exceed what JSON readers keep exactly.
    """
    return json.dumps(
        {
            "outcome": encode_outcome(claim.outcome),
            "sequence": str(claim.sequence),
            "holder": claim.holder,
        }
    )


def decode_claim(text: object) -> Claim | None:
    """Return the claim that an annotation holds; None if the text is not a claim."""
    try:
        claim = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(claim, dict):
        return None
    outcome, sequence = decode_outcome(claim.get("outcome")), claim.get("sequence")
    holder = claim.get("holder")
    if outcome is None or not isinstance(holder, str) or not holder:
        return None
    if not (isinstance(sequence, str) and _SEQUENCE.fullmatch(sequence)):
        return None
    return Claim(outcome=outcome, sequence=int(sequence), holder=holder)
