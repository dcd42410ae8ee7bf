"""Which run a request record is for: the id that it states, or one that is the same each time."""

from pydantic import JsonValue

from sluice_contracts.cloudevents import Envelope
from sluice_contracts.ids import derive_run_id, is_run_id
from sluice_contracts.records import IncomingRecord, header
from sluice_contracts.signatures import SIGNED_ID

__all__ = ["requested_run_id", "stated_id"]


def requested_run_id(
    record: IncomingRecord,
    document: JsonValue,
    envelope: Envelope | None,
    *,
    is_signed: bool,
) -> str | None:
    """Return the run's id; None if the document should state a valid one but does not."""
    if not isinstance(document, dict):
        return None
    if document.get("id") is not None or document.get("type", "run") != "run":
        return stated_id(document)
    key = _text(record.key)
    if key is not None and is_run_id(key):
        return key
    if is_signed and (signed_id := header(record.headers, SIGNED_ID)) is not None:
        # The other headers are not signed: a copy with others must not be another run.
        return derive_run_id(SIGNED_ID, signed_id)
    if envelope is not None:
        return derive_run_id(envelope.source, envelope.id)
    position = record.position
    return derive_run_id(
        position.topic, str(position.partition), str(position.offset), str(record.timestamp_ms)
    )


def stated_id(document: JsonValue) -> str | None:
    """Return the id that a document states, None if that is none."""
    stated = document.get("id") if isinstance(document, dict) else None
    return stated if isinstance(stated, str) and is_run_id(stated) else None


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None
