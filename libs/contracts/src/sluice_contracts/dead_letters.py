"""Dead letters: records that can never be valid, stored as received, with the reason in headers.

What was decided about a letter stands behind it on the same partition. It has no `sluice_reason`,
which every letter ends with, so no record of a client passes for a decision.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sluice_contracts.cloudevents import binary_headers
from sluice_contracts.ids import RunKey, is_run_id, is_tenant
from sluice_contracts.problems import Problem, ProblemType
from sluice_contracts.records import (
    MAX_HEADERS,
    Headers,
    IncomingRecord,
    OutgoingRecord,
    Position,
    header,
)
from sluice_contracts.requests import Rfc3339
from sluice_contracts.status import event_id
from sluice_contracts.topics import MAX_DEAD_LETTER_BYTES, MAX_REQUEST_BYTES

__all__ = [
    "DeadLetter",
    "InvalidDeadLetterError",
    "LetterDecision",
    "decode_dead_letter",
    "encode_dead_letter",
    "encode_decision",
]

_LONGEST_KEPT_KEY = 1024
_HEADER_FRAMING = 10

_REASON: Final = "sluice_reason"
_TRUNCATED: Final = "sluice_truncated"
_TYPE: Final = "sluice.dead-letter"

# Of these the record is not from the tenant that it names, or does not prove it.
_CLAIMS: Final = frozenset({ProblemType.FOREIGN_TENANT, ProblemType.UNSIGNED})


class InvalidDeadLetterError(ValueError):
    """A record of a dead letter topic is neither a letter nor a decision; no value is repeated."""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A dead letter as it is read.

    `position` is that of the letter and `at_ms` when Kafka appended it. `received` is the record
    with its own position, time and headers. `run` is the run that it names, None if that is not
    known. `truncated` is the size of the record in bytes, if only its head was kept.
    """

    position: Position
    at_ms: int
    problem: Problem
    received: IncomingRecord
    run: RunKey | None
    has_claimed_run: bool
    """Whether only the record says that it is from the tenant of `run`."""
    truncated: int | None


class LetterDecision(BaseModel):
    """What was done with a dead letter; the letter itself stays on its topic."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    letter: Annotated[
        str, Field(description="Where the letter stands, as `topic/partition@offset`.")
    ]
    decision: Annotated[
        Literal["replayed", "dropped"],
        Field(description="`replayed`: its request was written; `dropped`: nobody needs it."),
    ]
    by: Annotated[
        str, Field(max_length=256, description="Who decided, as `kind:id` of the principal.")
    ]
    at: Annotated[Rfc3339, Field(description="When it was decided.")]
    reason: Annotated[
        str | None, Field(max_length=1024, description="Why, in the words of who decided.")
    ] = None
    run: Annotated[
        str | None,
        Field(description="`tenant/run id` of the run that the replay started or commanded."),
    ] = None


def encode_dead_letter(
    record: IncomingRecord, problem: Problem, *, key: RunKey | None
) -> OutgoingRecord:
    """Return the dead letter of `record`: the record as received, plus headers with the reason.

    The record's own headers come first, then its position and the problem. `sluice_problem` is the
    whole problem document; `sluice_reason` is its `type` alone, for filters. A record that is too
    large for the topic, or has more headers than are read, keeps only the first MAX_REQUEST_BYTES
    of its value, and no headers; `sluice_truncated` is then its size in bytes.
    """
    position = record.position
    reasons = {
        _REASON: problem.type,
        "sluice_problem": problem.model_dump_json(exclude_none=True),
        "sluice_topic": position.topic,
        "sluice_partition": str(position.partition),
        "sluice_offset": str(position.offset),
        "sluice_timestamp": str(record.timestamp_ms),
        # Empty rather than absent, so that a header of the original record cannot pass for ours.
        "sluice_run": "" if key is None else str(key),
    }
    own = tuple((name, value.encode()) for name, value in reasons.items())
    letter = OutgoingRecord(key=record.key, value=record.value, headers=record.headers + own)
    size = letter.size + _HEADER_FRAMING * len(letter.headers)
    if size <= MAX_DEAD_LETTER_BYTES and len(record.headers) <= MAX_HEADERS:
        return letter
    # Brokers measure compressed batches: a record may be many times larger than its topic's limit.
    return OutgoingRecord(
        key=record.key if len(record.key or b"") <= _LONGEST_KEPT_KEY else None,
        value=(record.value or b"")[:MAX_REQUEST_BYTES],
        headers=(*own, (_TRUNCATED, str(letter.size).encode())),
    )


def encode_decision(decision: LetterDecision, *, source: str) -> OutgoingRecord:
    """Write what was done with a letter, as a CloudEvent in binary mode.

    The record has to be written to the partition of the letter.
    """
    at, kind = decision.at.isoformat(), decision.decision
    return OutgoingRecord(
        key=decision.letter.encode(),
        value=decision.model_dump_json().encode(),
        headers=binary_headers(
            event_type=f"{_TYPE}.{kind}",
            source=source,
            event_id=event_id("dead letter", decision.letter, kind, decision.by, at),
            subject=decision.letter,
            time=decision.at,
            traceparent=None,
        ),
    )


def decode_dead_letter(record: IncomingRecord) -> DeadLetter | tuple[Position, LetterDecision]:
    """Read a record of a dead letter topic: a letter, or the position of one and its decision.

    Raises:
        InvalidDeadLetterError: it is neither.
    """
    names = [name for name, _ in record.headers]
    if _REASON in names:
        # The last one is ours: the record's own headers come first, whatever they are called.
        begin = len(names) - 1 - names[::-1].index(_REASON)
        return _letter(record, own=record.headers[:begin], ours=record.headers[begin:])
    if (header(record.headers, "ce_type") or "").startswith(f"{_TYPE}."):
        return _decision(record)
    raise InvalidDeadLetterError(f"{record.position}: neither a dead letter nor a decision.")


def _letter(record: IncomingRecord, *, own: Headers, ours: Headers) -> DeadLetter:
    try:
        added = {name: value.decode() for name, value in ours}
        received = IncomingRecord(
            position=Position(
                added["sluice_topic"], int(added["sluice_partition"]), int(added["sluice_offset"])
            ),
            timestamp_ms=int(added["sluice_timestamp"]),
            key=record.key,
            value=record.value,
            headers=own,
        )
        found = Problem.model_validate_json(added["sluice_problem"], extra="ignore")
        truncated = added.get(_TRUNCATED)
        size = None if truncated is None else int(truncated)
    except (KeyError, ValueError) as e:
        raise InvalidDeadLetterError(f"{record.position}: a header of it cannot be read.") from e
    return DeadLetter(
        position=record.position,
        at_ms=record.timestamp_ms,
        problem=found,
        received=received,
        run=_run(added.get("sluice_run", "")),
        # A type that is not known may be of the same kind.
        has_claimed_run=added[_REASON] not in set(ProblemType) - _CLAIMS,
        truncated=size,
    )


def _decision(record: IncomingRecord) -> tuple[Position, LetterDecision]:
    try:
        decision = LetterDecision.model_validate_json(record.value or b"", extra="ignore")
        letter = Position.parse(decision.letter)
    except ValidationError as e:
        places = ", ".join("/".join(map(str, error["loc"])) or "value" for error in e.errors())
        raise InvalidDeadLetterError(f"{record.position}: an invalid decision: {places}.") from None
    except ValueError as e:
        raise InvalidDeadLetterError(f"{record.position}: a decision about no letter.") from e
    here = record.position
    if (letter.topic, letter.partition) != (here.topic, here.partition) or letter >= here:
        raise InvalidDeadLetterError(f"{here}: the letter does not stand before its decision.")
    return letter, decision


def _run(text: str) -> RunKey | None:
    tenant, _, run_id = text.partition("/")
    return RunKey(tenant, run_id) if is_tenant(tenant) and is_run_id(run_id) else None
