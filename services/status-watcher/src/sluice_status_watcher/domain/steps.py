"""Parses the steps of a Workflow: the nodes of its status; pure."""

from collections.abc import Iterable, Iterator, Mapping
from sys import getsizeof
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.steps import Step, StepGroup
from sluice_status_watcher.domain.archived_logs import archived_logs
from sluice_status_watcher.domain.lenient_json import as_map, as_text, as_texts, as_value

__all__ = [
    "Node",
    "group_of",
    "is_waiting",
    "output_parameters",
    "read_steps",
    "shown_name",
    "size_of",
    "step_of",
    "values_size",
]

# Nodes of these types only hold others; those say whether something runs.
_PARENTS: Final = frozenset({"Steps", "StepGroup", "DAG", "TaskGroup", "Retry"})
# No template has these: the fan-out of `withItems`, and one line of `steps`.
_BOOKKEEPING: Final = frozenset({"StepGroup", "TaskGroup"})
_MAX_INPUTS: Final = 32
_MAX_INPUT_LENGTH: Final = 256
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
    boundary: str | None
    children: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    logs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, JsonValue], ...]

    @property
    def is_group(self) -> bool:
        """Whether it only groups steps, so that events show it as a group."""
        return self.type in _BOOKKEEPING


def read_steps(
    nodes: Mapping[str, Any],
    *,
    root: str,
    bucket: str | None = None,
    with_inputs: bool = True,
) -> tuple[Node, ...]:
    """Return the steps and groups in the order in which they started.

    `bucket` is that of archived logs; None if they are not in S3.
    The root, whose id is the Workflow's name, is left out if it only holds other nodes: the event
    itself shows the same values.
    """
    steps = [
        _node(node_id, node, root=root, bucket=bucket, with_inputs=with_inputs)
        for node_id, node in nodes.items()
        if isinstance(node, dict)
        and not (node_id == root and as_text(node.get("type")) in _PARENTS)
    ]
    return tuple(sorted(steps, key=lambda step: (step.started_at or "~", step.name, step.id)))


def size_of(node: Node) -> int:
    """Return about how many bytes of memory a step takes."""
    strings = sum(getsizeof(field) for field in node if field) + sum(map(getsizeof, node.children))
    values = map(values_size, (node.inputs, node.logs, node.outputs))
    return _NODE_BYTES + strings + sum(values)


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


def shown_name(node_id: str, node: Mapping[str, Any]) -> str:
    """Return the name of a step to show."""
    return as_text(node.get("displayName")) or as_text(node.get("name")) or node_id


def group_of(node: Node) -> StepGroup:
    """Return a group as events show it."""
    return StepGroup(
        id=node.id,
        name=node.name,
        phase=node.phase,
        boundary=node.boundary,
        children=node.children,
    )


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
        boundary=node.boundary,
        children=node.children,
        inputs=dict(node.inputs),
        logs=dict(node.logs),
        outputs=dict(node.outputs),
    )


def _node(
    node_id: str, node: Mapping[str, Any], *, root: str, bucket: str | None, with_inputs: bool
) -> Node:
    outputs = as_map(node.get("outputs"))
    shown = output_parameters(outputs)
    if outputs.get("result") is not None:
        shown = {"result": as_value(outputs["result"])} | shown
    boundary = as_text(node.get("boundaryID"))
    return Node(
        id=node_id,
        name=shown_name(node_id, node),
        template=_template(node),
        type=as_text(node.get("type")),
        # Argo has created the node but not started it yet.
        phase=as_text(node.get("phase")) or "Pending",
        message=as_text(node.get("message")),
        started_at=as_text(node.get("startedAt")),
        finished_at=as_text(node.get("finishedAt")),
        boundary=None if boundary in ("", root) else boundary,
        children=as_texts(node.get("children")),
        inputs=tuple(_small_inputs(node)) if with_inputs else (),
        logs=tuple(archived_logs(outputs, bucket=bucket)),
        outputs=tuple(shown.items()),
    )


def _small_inputs(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parameters = as_map(node.get("inputs")).get("parameters")
    for parameter in map(as_map, parameters[:_MAX_INPUTS] if isinstance(parameters, list) else ()):
        name, value = as_text(parameter.get("name")), as_text(parameter.get("value"))
        if name is not None and value is not None and len(value) <= _MAX_INPUT_LENGTH:
            yield name, value


def _template(node: Mapping[str, Any]) -> str | None:
    reference = as_map(node.get("templateRef"))
    return as_text(node.get("templateName")) or as_text(reference.get("template"))
