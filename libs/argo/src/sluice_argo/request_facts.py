"""What the events about a run repeat of its request, in annotations of the Workflow.

The dispatcher writes them, and the status-watcher reads them. Anybody with access to the Workflow
can change them, so a value that is not valid counts as absent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from sluice_argo import metadata
from sluice_contracts.ids import RunId
from sluice_contracts.labels import Labels
from sluice_contracts.requests import Priority
from sluice_contracts.status import AppliedCommand

__all__ = ["RequestFacts", "decode_request_facts", "encode_request_facts"]

T = TypeVar("T")

_LABELS: Final = TypeAdapter[Mapping[str, str]](Labels)
_PRIORITY: Final = TypeAdapter[Priority](Priority)
_RUN_ID: Final = TypeAdapter[str](RunId)
_MOMENT: Final = TypeAdapter[datetime](AwareDatetime)
_COMMAND: Final = TypeAdapter(AppliedCommand)
_MAX_PRINCIPAL: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestFacts:
    """The part of a request that does not decide what runs, and the last command applied."""

    labels: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = "normal"
    parent: str | None = None
    requested_by: str | None = None
    accepted_at: datetime | None = None
    has_private_parameters: bool = False
    last_command: AppliedCommand | None = None


def encode_request_facts(facts: RequestFacts) -> dict[str, str]:
    """Return the annotations of the facts that are not the default."""
    annotations = {
        metadata.LABELS: _text_of(facts.labels),
        metadata.PRIORITY: facts.priority if facts.priority != "normal" else None,
        metadata.PARENT: facts.parent,
        metadata.REQUESTED_BY: facts.requested_by,
        metadata.ACCEPTED_AT: facts.accepted_at.isoformat() if facts.accepted_at else None,
        metadata.PRIVATE_PARAMETERS: "true" if facts.has_private_parameters else None,
        metadata.LAST_COMMAND: facts.last_command.model_dump_json() if facts.last_command else None,
    }
    return {name: text for name, text in annotations.items() if text is not None}


def decode_request_facts(annotations: Mapping[str, Any]) -> RequestFacts:
    """Return the facts that these annotations of a Workflow state."""
    requested_by = annotations.get(metadata.REQUESTED_BY)
    return RequestFacts(
        labels=_valid_json(_LABELS, annotations.get(metadata.LABELS)) or {},
        priority=_valid(_PRIORITY, annotations.get(metadata.PRIORITY)) or "normal",
        parent=_valid(_RUN_ID, annotations.get(metadata.PARENT)),
        requested_by=requested_by[:_MAX_PRINCIPAL] if isinstance(requested_by, str) else None,
        accepted_at=_valid(_MOMENT, annotations.get(metadata.ACCEPTED_AT)),
        has_private_parameters=annotations.get(metadata.PRIVATE_PARAMETERS) == "true",
        last_command=_valid_json(_COMMAND, annotations.get(metadata.LAST_COMMAND)),
    )


def _text_of(labels: Mapping[str, str]) -> str | None:
    return json.dumps(dict(labels), ensure_ascii=False, sort_keys=True) if labels else None


def _valid(adapter: TypeAdapter[T], value: object) -> T | None:
    if not isinstance(value, str):
        return None
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


def _valid_json(adapter: TypeAdapter[T], value: object) -> T | None:
    if not isinstance(value, str):
        return None
    try:
        return adapter.validate_json(value)
    except ValidationError:
        return None
