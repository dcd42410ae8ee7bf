"""Suspended steps, and the answers that they wait for; pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import JsonValue

from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.steps import WaitingStep
from sluice_status_watcher.domain.lenient_json import as_map, as_text, as_texts
from sluice_status_watcher.domain.steps import shown_name

__all__ = ["waiting_steps"]

# So many fit into an event whatever they say: a text is at most 1 KiB here.
_MAX_STEPS: Final = 16
_MAX_PARAMETERS: Final = 16
_MAX_CHOICES: Final = 64
_MAX_TEXT: Final = 1024


def waiting_steps(nodes: Mapping[str, Any]) -> tuple[WaitingStep, ...]:
    """Return the suspend steps that wait, with what each can be answered."""
    waiting = [
        WaitingStep(
            step=node_id,
            name=shown_name(node_id, node),
            message=_short(node.get("message")),
            since=parse_timestamp(node.get("startedAt")),
            answer=_answer_schema(node),
        )
        for node_id, node in nodes.items()
        if isinstance(node, dict)
        and as_text(node.get("type")) == "Suspend"
        and as_text(node.get("phase")) == "Running"
    ]
    return tuple(sorted(waiting, key=lambda step: (step.name, step.step))[:_MAX_STEPS])


def _answer_schema(node: Mapping[str, Any]) -> dict[str, JsonValue] | None:
    """Return the JSON Schema of what the step's supplied outputs may be.

    Argo describes them by the inputs of the same names.
    https://argo-workflows.readthedocs.io/en/latest/intermediate-inputs/
    """
    described = {
        as_text(parameter.get("name")): parameter
        for parameter in _parameters(as_map(node.get("inputs")))
    }
    properties: dict[str, JsonValue] = {}
    required: list[JsonValue] = []
    for output in _parameters(as_map(node.get("outputs"))):
        name, source = as_text(output.get("name")), as_map(output.get("valueFrom"))
        if name is None or "supplied" not in source:
            continue
        described_by = described.get(name, {})
        default = "" if source.get("default") == "" else _short(source.get("default"))
        choices = as_texts(described_by.get("enum"))[:_MAX_CHOICES]
        property_: dict[str, JsonValue] = {"type": "string"}
        if choices:
            property_["enum"] = list(choices)
        if (description := _short(described_by.get("description"))) is not None:
            property_["description"] = description
        if default is None:
            required.append(name)
        else:
            property_["default"] = default
        properties[name] = property_
    if not properties:
        return None
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _parameters(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    parameters = holder.get("parameters")
    return map(as_map, parameters[:_MAX_PARAMETERS] if isinstance(parameters, list) else ())


def _short(value: object) -> str | None:
    text = as_text(value)
    return None if text is None else text[:_MAX_TEXT]
