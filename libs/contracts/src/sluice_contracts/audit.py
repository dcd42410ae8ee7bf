"""Audit records: who asked the gateway to change something, or was refused, and what came of it.

They have no parameters, no answers, and nothing of what a client has shown to prove who it is.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from sluice_contracts.cloudevents import binary_headers
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import OutgoingRecord
from sluice_contracts.topics import TopicSpec

__all__ = ["AUDIT_TOPIC", "AUDIT_TYPE", "AuditRecord", "Verdict", "audit_topic", "encode_audit"]

AUDIT_TOPIC: Final = "sluice.audit"

AUDIT_TYPE: Final = "sluice.audit"
"""`ce_type` of audit records."""

_RETENTION_MS: Final = 30 * 24 * 3_600_000
_LARGEST: Final = 64 * 1024


class Verdict(StrEnum):
    """What came of a request."""

    ACCEPTED = "accepted"
    """Kafka has acknowledged the record of the request or command."""
    REPLAYED = "replayed"
    """The run was there before, asked for with the same content; nothing was written."""
    REFUSED = "refused"
    """Nothing was written; `problem` says why."""
    UNKNOWN = "unknown"
    """The record was not acknowledged in time, and may have been written all the same."""


class AuditRecord(BaseModel):
    """One start, one command, or one refusal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: datetime
    principal: Annotated[
        str | None, Field(description="Who asked, as `kind:id`; null if nobody was identified.")
    ]
    operation: Annotated[str, Field(description="`operationId` of the OpenAPI document.")]
    tenant: str | None = None
    run_id: str | None = None
    workflow: Annotated[str | None, Field(description="Null if it is not known.")] = None
    dead_letter: Annotated[
        str | None, Field(description="Id of the dead letter that it was about.")
    ] = None
    verdict: Verdict
    problem: Annotated[ProblemType | None, Field(description="Why it was refused.")] = None
    hidden: Annotated[
        bool,
        Field(
            description="Whether an existing run or dead letter was called unknown, because it is "
            "not granted."
        ),
    ] = False
    trace_id: str | None = None


def audit_topic(name: str) -> TopicSpec:
    """Return the settings with which the topic is created."""
    return TopicSpec(
        name=name,
        cleanup_policy="delete",
        retention_ms=_RETENTION_MS,
        max_message_bytes=_LARGEST,
    )


def encode_audit(record: AuditRecord, *, event_id: str) -> OutgoingRecord:
    """Return the record as a CloudEvent in binary mode, under the run's key if it is about one."""
    about = record.tenant is not None and record.run_id is not None
    subject = f"{record.tenant}/{record.run_id}" if about else record.operation
    return OutgoingRecord(
        key=subject.encode() if about else None,
        value=record.model_dump_json().encode(),
        headers=binary_headers(
            event_type=AUDIT_TYPE,
            source="/sluice/gateway",
            event_id=event_id,
            subject=subject,
            time=record.time,
            traceparent=None,
        ),
    )
