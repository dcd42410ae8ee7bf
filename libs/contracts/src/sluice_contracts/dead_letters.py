"""Dead letters: records that can never be valid, stored as received, with the reason in headers."""

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
    """Return the dead letter of `record`: the record as received, plus headers with the reason.

    The record's own headers come first, then its position and the problem. `sluice_problem` is the
    whole problem document; `sluice_reason` is its `type` alone, for filters. A record that is too
    large for the topic keeps only the first MAX_REQUEST_BYTES of its value; `sluice_truncated` is
    then the original size in bytes.
    """
    position = record.position
    reasons = {
        "sluice_reason": problem.type,
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
    if size <= MAX_DEAD_LETTER_BYTES:
        return letter
    # Brokers measure compressed batches: a record may be many times larger than its topic's limit.
    return OutgoingRecord(
        key=record.key if len(record.key or b"") <= _LONGEST_KEPT_KEY else None,
        value=(record.value or b"")[:MAX_REQUEST_BYTES],
        headers=(*own, ("sluice_truncated", str(letter.size).encode())),
    )
