"""CloudEvents 1.0: written on Kafka in binary mode, read in binary and structured mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from sluice_contracts import strict_json
from sluice_contracts.records import Headers, header
from sluice_contracts.tracing import TRACEPARENT_HEADER

__all__ = [
    "IDENTIFYING",
    "STRUCTURED",
    "Envelope",
    "MalformedEventError",
    "binary_headers",
    "open_structured",
    "read_envelope",
    "unwrap",
]

STRUCTURED = "application/cloudevents+json"

IDENTIFYING = ("specversion", "id", "source", "type")
"""The attributes that every CloudEvent has."""

# The specification forbids them in attributes ("Type System"). Ids are derived from attributes that
# are joined by NUL.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class MalformedEventError(ValueError):
    """The record claims to be a CloudEvent but is not a valid one; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """The identifying attributes of a CloudEvent: `source` and `id` together are unique."""

    source: str
    id: str


def binary_headers(
    *,
    event_type: str,
    source: str,
    event_id: str,
    subject: str,
    time: datetime,
    traceparent: str | None,
    extensions: dict[str, str] | None = None,
) -> Headers:
    """Return the headers of a record in binary mode, whose value is JSON."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_type": event_type,
        "ce_source": source,
        "ce_id": event_id,
        "ce_subject": subject,
        "ce_time": time.isoformat(),
        "content-type": "application/json",
    }
    attributes |= {f"ce_{name}": value for name, value in (extensions or {}).items()}
    if traceparent:
        attributes[TRACEPARENT_HEADER] = traceparent
    return tuple((name, value.encode()) for name, value in attributes.items())


def unwrap(value: bytes, headers: Headers) -> tuple[JsonValue, Envelope | None]:
    """Return the document that a record carries, and its envelope if it is a CloudEvent.

    Raises:
        MalformedEventError: an attribute is missing, or the data are missing or not JSON.
        MalformedJsonError: as `strict_json.parse`.
    """
    media_type = (header(headers, "content-type") or "").partition(";")[0].strip().lower()
    if media_type == STRUCTURED:
        return _unwrap_structured(value)
    if header(headers, "ce_specversion") is None:
        return strict_json.parse(value), None
    envelope = read_envelope({name: header(headers, f"ce_{name}") for name in IDENTIFYING})
    return strict_json.parse(value), envelope


def open_structured(event: JsonValue) -> tuple[JsonValue | bytes, Envelope]:
    """Return the data of a parsed event in structured mode, and its envelope.

    The data are bytes, still to be parsed as JSON, if the event has them as `data_base64`.

    Raises:
        MalformedEventError: an attribute is missing, or the data are missing or not base64.
    """
    if not isinstance(event, dict):
        raise MalformedEventError("A structured CloudEvent must be a JSON object.")
    envelope = read_envelope(event)
    match event:
        case {"data": _, "data_base64": _}:
            raise MalformedEventError("The CloudEvent carries both data and data_base64.")
        case {"data": data}:
            return data, envelope
        case {"data_base64": str(encoded)}:
            return _from_base64(encoded), envelope
    raise MalformedEventError("The CloudEvent carries no data.")


def _unwrap_structured(value: bytes) -> tuple[JsonValue, Envelope]:
    try:
        event = strict_json.parse(value)
    except strict_json.AmbiguousJsonError as e:
        salvaged = e.salvaged.get("data") if isinstance(e.salvaged, dict) else None
        raise strict_json.AmbiguousJsonError(str(e), salvaged=salvaged) from e
    data, envelope = open_structured(event)
    return (strict_json.parse(data) if isinstance(data, bytes) else data), envelope


def _from_base64(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.encode(), validate=True)
    except binascii.Error as e:
        raise MalformedEventError("The CloudEvent's data_base64 is not valid base64.") from e


def read_envelope(attributes: Mapping[str, JsonValue]) -> Envelope:
    """Return what identifies the event of these attributes.

    Raises:
        MalformedEventError: one of IDENTIFYING is missing or not valid.
    """
    if attributes.get("specversion") != "1.0":
        raise MalformedEventError("The CloudEvent's specversion must be 1.0.")
    for name in ("id", "source", "type"):
        text = attributes.get(name)
        if not (isinstance(text, str) and text) or _CONTROL_CHARACTER.search(text):
            raise MalformedEventError(
                f"The CloudEvent's attribute {name!r} must be a non-empty string without control "
                "characters."
            )
    return Envelope(source=str(attributes["source"]), id=str(attributes["id"]))
