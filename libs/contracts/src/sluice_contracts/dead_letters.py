"""Dead letters: records that can never be valid, kept as received with the reason in headers."""

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord

__all__ = ["encode_dead_letter"]


def encode_dead_letter(
    record: IncomingRecord, problem: Problem, *, key: RunKey | None
) -> OutgoingRecord:
    """Give the record as received, its own headers first, then where it stood and what is wrong.

    `sluice_problem` is the whole problem document, `sluice_reason` its `type` alone for filters.
    """
    position = record.position
    reasons = {
        "sluice_reason": problem.type,
        "sluice_problem": problem.model_dump_json(exclude_none=True),
        "sluice_topic": position.topic,
        "sluice_partition": str(position.partition),
        "sluice_offset": str(position.offset),
        "sluice_timestamp": str(record.timestamp_ms),
    }
    if key is not None:
        reasons["sluice_run"] = str(key)
    own = tuple((name, value.encode()) for name, value in reasons.items())
    return OutgoingRecord(key=record.key, value=record.value, headers=record.headers + own)
