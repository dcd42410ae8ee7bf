"""Status records: written by the status-watcher and the dispatcher, read by everybody."""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from sluice_contracts import cloudevents
from sluice_contracts.notices import QueueNotice, RefusalNotice
from sluice_contracts.records import IncomingRecord, OutgoingRecord, header
from sluice_contracts.status import Phase, StatusEvent, Truncation
from sluice_contracts.topics import MAX_STATUS_BYTES, MAX_STATUS_RECORD_BYTES
from sluice_contracts.tracing import TRACEPARENT_HEADER

__all__ = [
    "QUEUED",
    "REFUSED",
    "ForeignRecordError",
    "PublishedEvent",
    "decode_status",
    "encode_notice",
    "encode_status",
    "event_type",
]

REFUSED = "sluice.request.refused"
QUEUED = "sluice.request.queued"
_RUN = "sluice.run."


class ForeignRecordError(ValueError):
    """A record on the status or results topic that Sluice did not write."""


@dataclass(frozen=True, kw_only=True)
class PublishedEvent:
    """A status event, and what only its record has.

    `fingerprint` identifies the content of the request that the run came from.
    """

    event: StatusEvent
    fingerprint: str | None
    traceparent: str | None


def event_type(phase: Phase) -> str:
    """Return the `ce_type` of events about this phase."""
    return _RUN + phase.lower()


def encode_status(published: PublishedEvent, *, source: str) -> OutgoingRecord:
    """Write a status event as a CloudEvent in binary mode under the run's key.

    An event too large for the topic loses the inputs and outputs of its steps, then the links to
    their logs, then its steps, then the run's own outputs, and says so; the outcome always goes
    through.
    """
    event = published.event
    record = _without_value(published, source=source)
    room = MAX_STATUS_RECORD_BYTES - record.size
    # Outputs that cannot fit are not encoded to find that out: 32 MiB would be in memory twice.
    if _step_outputs_exceed_record(event):
        event = event.truncate(Truncation.STEP_OUTPUTS)
    value = event.model_dump_json().encode()
    for level in (Truncation.STEP_OUTPUTS, Truncation.STEP_LOGS, Truncation.STEPS):
        if len(value) > MAX_STATUS_BYTES:
            event = event.truncate(level)
            value = event.model_dump_json().encode()
    if len(value) > room:
        # The broker would refuse it, and with it the producer and all that it is sending.
        value = event.truncate(Truncation.DETAILS).model_dump_json().encode()
    return replace(record, value=value)


def _without_value(published: PublishedEvent, *, source: str) -> OutgoingRecord:
    event = published.event
    extensions = {"sequence": str(event.sequence)}
    if published.fingerprint:
        extensions["fingerprint"] = published.fingerprint
    return OutgoingRecord(
        key=str(event.key).encode(),
        value=None,
        headers=cloudevents.binary_headers(
            event_type=event_type(event.phase),
            source=source,
            event_id=event.event_id,
            subject=str(event.key),
            time=event.observed_at,
            traceparent=published.traceparent,
            extensions=extensions,
        ),
    )


def _step_outputs_exceed_record(event: StatusEvent) -> bool:
    """Return whether the strings alone that the steps have as outputs exceed the topic's limit."""
    outputs = (value for step in event.steps for value in step.outputs.values())
    return sum(len(value) for value in outputs if isinstance(value, str)) > MAX_STATUS_BYTES


def encode_notice(
    notice: RefusalNotice | QueueNotice, *, source: str, traceparent: str | None
) -> OutgoingRecord:
    """Write a notice as a CloudEvent in binary mode under the key of the run that it names."""
    return OutgoingRecord(
        key=str(notice.key).encode(),
        value=notice.model_dump_json().encode(),
        headers=cloudevents.binary_headers(
            event_type=REFUSED if isinstance(notice, RefusalNotice) else QUEUED,
            source=source,
            event_id=notice.event_id,
            subject=str(notice.key),
            time=notice.observed_at,
            traceparent=traceparent,
        ),
    )


def decode_status(record: IncomingRecord) -> PublishedEvent | RefusalNotice | QueueNotice:
    """Read a record of the status or results topic.

    Fields that it does not know are passed over: a newer version may have written it.

    Raises:
        ForeignRecordError: not one of ours; skip it, nothing can be learnt from it.
    """
    kind = header(record.headers, "ce_type") or ""
    try:
        if kind == REFUSED:
            return RefusalNotice.model_validate_json(record.value or b"", extra="ignore")
        if kind == QUEUED:
            return QueueNotice.model_validate_json(record.value or b"", extra="ignore")
        if not kind.startswith(_RUN):
            raise ForeignRecordError(f"{record.position}: not a record of Sluice.")
        return PublishedEvent(
            event=StatusEvent.model_validate_json(record.value or b"", extra="ignore"),
            fingerprint=header(record.headers, "ce_fingerprint"),
            traceparent=header(record.headers, TRACEPARENT_HEADER),
        )
    except ValidationError as e:
        raise ForeignRecordError(
            f"{record.position}: {e.error_count()} fields break the contract of {kind}."
        ) from e
