"""Hooks of schemathesis: valid requests also fit what a schema cannot say.

A schema does not know the catalogue, the time, or what two members have to do with each other.
Without these hooks most valid requests would be refused, and few runs started. Invalid requests
are left as they are.
"""

from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

from tests.contract.gateway import LETTER

_GREET: dict[str, Any] = {"workflow": "greet", "parameters": {"name": "Ada"}}
_ATTRIBUTES = ("ce-id", "ce-source", "ce-type")


@schemathesis.hook
def before_call(
    _: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]
) -> None:
    """Make a valid request one that can be carried out."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.operation.path.startswith("/v1/dead-letters/{id}"):
        case.path_parameters["id"] = LETTER
    match case.operation.label:
        case "POST /v1/runs":
            _start(case)
        case "POST /v1/runs:batch" if isinstance(case.body, list):
            case.body = [_event(each) for each in case.body]
        case "POST /v1/runs:batch" if isinstance(case.body, dict):
            case.body = _request(case.body)
        case "POST /v1/runs/{id}/rerun" if isinstance(case.body, dict):
            case.body = _without(case.body, "id", "parameters", "expires_at")
        case "POST /v1/dead-letters/{id}/replay" if isinstance(case.body, dict):
            case.body = case.body | {"value": dict(_GREET)}
        case "GET /v1/runs" | "GET /v1/dead-letters":
            # Only a list makes one.
            case.query.pop("cursor", None)
        case "GET /v1/events" if "Last-Event-ID" in case.headers:
            # It may name a partition twice.
            case.headers["Last-Event-ID"] = case.headers["Last-Event-ID"].partition(",")[0]


def _start(case: schemathesis.Case[Any]) -> None:
    if not isinstance(case.body, dict):
        return
    if case.media_type == "application/json":
        case.body = _request(case.body)
        if "ce-specversion" in case.headers:
            # The other attributes are needed then, and decoded.
            case.headers.update(dict.fromkeys(_ATTRIBUTES, "a"))
    else:
        case.body = _event(case.body)
    # The two ids may differ.
    case.headers.pop("Idempotency-Key", None)


def _event(event: Any) -> Any:
    data = event.get("data") if isinstance(event, dict) else None
    return {**_without(event, "data_base64"), "data": _request(data or {})}


def _request(request: dict[str, Any]) -> dict[str, Any]:
    # It may have expired.
    return _without(request, "expires_at") | _GREET


def _without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
