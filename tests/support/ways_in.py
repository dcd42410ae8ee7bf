"""All ways in which one and the same run can be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sluice_contracts.cloudevents import STRUCTURED
from sluice_contracts.ids import derive_run_id

__all__ = ["WAYS", "HttpRequest", "KafkaRecord", "Way", "asked", "run_id_of"]

Way = Literal[
    "document",
    "header",
    "structured",
    "binary",
    "lines",
    "event batch",
    "record",
    "structured record",
    "binary record",
]
WAYS: tuple[Way, ...] = get_args(Way)

_SOURCE = "/shops/7"
_BATCH = "/v1/runs:batch"


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A POST; `body` is to be encoded as JSON."""

    path: str = "/v1/runs"
    body: object
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KafkaRecord:
    """A record of the request topic; `value` is to be encoded as JSON."""

    value: object
    headers: Mapping[str, str] = field(default_factory=dict)


def run_id_of(event: str) -> str:
    """Return the id of the run that the CloudEvent of this id asks for."""
    return derive_run_id(_SOURCE, event)


def asked(way: Way, document: Mapping[str, Any], *, event: str) -> HttpRequest | KafkaRecord:
    """Return what asks for the run `run_id_of(event)`; `document` has workflow and parameters."""
    attributes = {"specversion": "1.0", "id": event, "source": _SOURCE, "type": "order.paid"}
    named = {"id": run_id_of(event), **document}
    cloud_event = {**attributes, "data": document}
    ways: dict[Way, HttpRequest | KafkaRecord] = {
        "document": HttpRequest(body=named),
        "header": HttpRequest(body=document, headers={"Idempotency-Key": run_id_of(event)}),
        "structured": HttpRequest(body=cloud_event, media_type=STRUCTURED),
        "binary": HttpRequest(body=document, headers=_prefixed("ce-", attributes)),
        "lines": HttpRequest(path=_BATCH, body=named, media_type="application/x-ndjson"),
        "event batch": HttpRequest(
            path=_BATCH, body=[cloud_event], media_type="application/cloudevents-batch+json"
        ),
        "record": KafkaRecord(value=named),
        "structured record": KafkaRecord(value=cloud_event, headers={"content-type": STRUCTURED}),
        "binary record": KafkaRecord(value=document, headers=_prefixed("ce_", attributes)),
    }
    return ways[way]


def _prefixed(prefix: str, attributes: Mapping[str, str]) -> dict[str, str]:
    return {f"{prefix}{name}": value for name, value in attributes.items()}
