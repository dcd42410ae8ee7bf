"""The annotations of a Workflow about the commands that were applied to it."""

import json
from datetime import datetime
from typing import Final

from sluice_argo import metadata
from sluice_argo.request_facts import RequestFacts, encode_request_facts
from sluice_contracts.records import IncomingRecord
from sluice_contracts.requests import Command
from sluice_contracts.status import AppliedCommand
from sluice_dispatcher.domain.models import Manifest

__all__ = ["record_applied", "was_applied"]

_APPENDED: Final = " appended"
# Brokers set the timestamps, and the clock of a new partition leader may be behind.
_CLOCKS_DIFFER_MS: Final = 5 * 60 * 1000


def was_applied(workflow: Manifest, record: IncomingRecord) -> bool:
    """Return whether the command of this record was applied already.

    A redelivered `retry` must not retry twice. So an annotation of the Workflow keeps, per
    partition, offset and time of the last command applied; Kafka's order does the rest. A record
    with a lower offset may have been appended much later. Its topic was deleted and created again,
    and the command is new.
    """
    applied = _applied(workflow)
    partition = _partition(record)
    offset = applied.get(partition)
    if offset is None or record.position.offset > offset:
        return False
    appended_ms = applied.get(f"{partition}{_APPENDED}")
    return appended_ms is None or record.timestamp_ms <= appended_ms + _CLOCKS_DIFFER_MS


def record_applied(
    workflow: Manifest,
    command: Command,
    *,
    record: IncomingRecord,
    now: datetime,
    requested_by: str | None,
) -> None:
    """Note the command in the annotations, for `was_applied` and for the run's events."""
    partition = _partition(record)
    applied = _applied(workflow) | {
        partition: record.position.offset,
        f"{partition}{_APPENDED}": record.timestamp_ms,
    }
    last = AppliedCommand(
        type=command.type, reason=command.reason, requested_by=requested_by, applied_at=now
    )
    annotations = workflow["metadata"].setdefault("annotations", {})
    annotations[metadata.APPLIED_COMMANDS] = json.dumps(applied, sort_keys=True)
    annotations |= encode_request_facts(RequestFacts(last_command=last))


def _applied(workflow: Manifest) -> dict[str, int]:
    annotations = workflow["metadata"].get("annotations") or {}
    try:
        applied = json.loads(annotations.get(metadata.APPLIED_COMMANDS, "{}"))
    except ValueError:
        # Another client has overwritten the annotation; what it said is lost.
        return {}
    if not isinstance(applied, dict):
        return {}
    return {key: number for key, number in applied.items() if isinstance(number, int)}


def _partition(record: IncomingRecord) -> str:
    return f"{record.position.topic}/{record.position.partition}"
