"""Dead letters: records that can never be valid, kept as received with the reason in headers."""

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord
from sluice_contracts.topics import MAX_DEAD_LETTER_BYTES, MAX_REQUEST_BYTES

__all__ = ["encode_dead_letter"]

_LONGEST_KEPT_KEY = 1024
_HEADER_FRAMING = 10


def encode_dead_letter(
    record: IncomingRecord, problem: Problem, *, key: RunKey | None
) -> OutgoingRecord:
    """Give the record as received, its own headers first, then where it stood and what is wrong.

    `sluice_problem` is the whole problem document, `sluice_reason` its `type` alone for filters.
    Of a record too large for the topic only the head of its value is kept; `sluice_truncated` then
    tells how many bytes it had.
    """
    position = record.position
    reasons = {
        "sluice_reason": problem.type,
        "sluice_problem": problem.model_dump_json(exclude_none=True),
        "sluice_topic": position.topic,
        "sluice_partition": str(position.partition),
        "sluice_offset": str(position.offset),
        "sluice_timestamp": str(record.timestamp_ms),
        # Empty rather than absent: a header of the record's own must not pass for ours.
        "sluice_run": "" if key is None else str(key),
    }
    own = tuple((name, value.encode()) for name, value in reasons.items())
    letter = OutgoingRecord(key=record.key, value=record.value, headers=record.headers + own)
    size = letter.size + _HEADER_FRAMING * len(letter.headers)
    if size <= MAX_DEAD_LETTER_BYTES:
        return letter
    # Brokers measure compressed batches: what arrives may be many times its topic's limit.
    return OutgoingRecord(
        key=record.key if len(record.key or b"") <= _LONGEST_KEPT_KEY else None,
        value=(record.value or b"")[:MAX_REQUEST_BYTES],
        headers=(*own, ("sluice_truncated", str(letter.size).encode())),
    )
