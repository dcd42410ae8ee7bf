"""Parses the steps of a Workflow: the nodes of its status; pure."""

from collections.abc import Iterable, Mapping
from sys import getsizeof
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.status import Step
from sluice_status_watcher.domain.archived_logs import archived_logs
from sluice_status_watcher.domain.lenient_json import as_map, as_text, as_value

__all__ = [
    "Node",
    "is_waiting",
    "output_parameters",
    "read_steps",
    "size_of",
    "step_of",
    "values_size",
]

# Nodes of these types only hold others; those say whether something runs.
_PARENTS: Final = frozenset({"Steps", "StepGroup", "DAG", "TaskGroup", "Retry"})
# No template has these: the fan-out of `withItems`, and one line of `steps`.
_BOOKKEEPING: Final = frozenset({"StepGroup", "TaskGroup"})
# The tuple, and the overhead of the allocator for its strings.
_NODE_BYTES: Final = 512
# `{'': 0}, ` takes 240 bytes of memory.
_BYTES_PER_CHARACTER: Final = 32
_UNDER_WAY: Final = frozenset({"Pending", "Running"})


class Node(NamedTuple):
    """One step as Argo reports it; small, because thousands are kept while Kafka is away."""

    id: str
    name: str
    template: str | None
    type: str | None
    phase: str
    message: str | None
    started_at: str | None
    finished_at: str | None
    logs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, JsonValue], ...]


def read_steps(
    nodes: Mapping[str, Any], *, root: str, bucket: str | None = None
) -> tuple[Node, ...]:
    """Return the steps in the order in which they started.

    `bucket` is that of archived logs; None if they are not in S3.
    Groups are left out. So is the root, whose id is the Workflow's name, if it only holds other
    nodes: the event itself shows the same values.
    """
    steps = [
        _node(node_id, node, bucket=bucket)
        for node_id, node in nodes.items()
        if isinstance(node, dict)
        and as_text(node.get("type")) not in _BOOKKEEPING
        and not (node_id == root and as_text(node.get("type")) in _PARENTS)
    ]
    return tuple(sorted(steps, key=lambda step: (step.started_at or "~", step.name, step.id)))


def size_of(node: Node) -> int:
    """Return about how many bytes of memory a step takes."""
    strings = sum(getsizeof(field) for field in node[:-1] if field)
    return _NODE_BYTES + strings + values_size(node.outputs) + values_size(node.logs)


def values_size(values: Iterable[tuple[str, JsonValue]]) -> int:
    """Return about how many bytes of memory named values take.

    Argo writes strings. In other values each character may stand for an object of many bytes.
    """
    return sum(
        getsizeof(name)
        + (getsizeof(value) if isinstance(value, str) else _BYTES_PER_CHARACTER * len(repr(value)))
        for name, value in values
    )


def is_waiting(nodes: Mapping[str, Any]) -> bool:
    """Return whether all steps under way are suspend steps: the run waits to be resumed."""
    under_way = {
        as_text(node.get("type"))
        for node in nodes.values()
        if isinstance(node, dict) and as_text(node.get("phase")) in _UNDER_WAY
    }
    return under_way - _PARENTS == {"Suspend"}


def output_parameters(outputs: object) -> dict[str, JsonValue]:
    """Return the output parameters that have a value, by name.

    Raises:
        NestedTooDeeplyError: not every reader of events could read a value.
    """
    parameters = as_map(outputs).get("parameters")
    if not isinstance(parameters, list):
        return {}
    return {
        name: as_value(parameter["value"])
        for parameter in map(as_map, parameters)
        if (name := as_text(parameter.get("name"))) is not None and "value" in parameter
    }


def step_of(node: Node) -> Step:
    """Return a node as events show it."""
    return Step(
        id=node.id,
        name=node.name,
        template=node.template,
        type=node.type,
        phase=node.phase,
        message=node.message,
        started_at=parse_timestamp(node.started_at),
        finished_at=parse_timestamp(node.finished_at),
        logs=dict(node.logs),
        outputs=dict(node.outputs),
    )


def _node(node_id: str, node: Mapping[str, Any], *, bucket: str | None) -> Node:
    outputs = as_map(node.get("outputs"))
    shown = output_parameters(outputs)
    if outputs.get("result") is not None:
        shown = {"result": as_value(outputs["result"])} | shown
    return Node(
        id=node_id,
        name=as_text(node.get("displayName")) or as_text(node.get("name")) or node_id,
        template=_template(node),
        type=as_text(node.get("type")),
        # Argo has created the node but not started it yet.
        phase=as_text(node.get("phase")) or "Pending",
        message=as_text(node.get("message")),
        started_at=as_text(node.get("startedAt")),
        finished_at=as_text(node.get("finishedAt")),
        logs=tuple(archived_logs(outputs, bucket=bucket)),
        outputs=tuple(shown.items()),
    )


def _template(node: Mapping[str, Any]) -> str | None:
    reference = as_map(node.get("templateRef"))
    return as_text(node.get("templateName")) or as_text(reference.get("template"))
