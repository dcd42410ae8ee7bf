"""What the tags in a template can refer to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sluice_engine.controller.errors import TemplateError
from sluice_engine.controller.nodes import NodeTree
from sluice_engine.controller.substitution import Scope
from sluice_engine.documents import Json, Object, decode, encode

__all__ = ["LocalScope", "global_scope", "text"]

_DATES: Final = "aAbBdHIjmMpSUwWyYZ"


def text(value: Json) -> str:
    """Return a parameter's value as the text that it stands for: `3` and `"3"` are the same."""
    return value if isinstance(value, str) else encode(value).decode()


def global_scope(workflow: Object, spec: Object) -> dict[str, str | None]:
    """Return the tags below `workflow.`."""
    metadata = workflow["metadata"]
    created = datetime.fromisoformat(metadata["creationTimestamp"])
    parameters = (spec.get("arguments") or {}).get("parameters") or []
    scope: dict[str, str | None] = {
        "workflow.name": metadata["name"],
        "workflow.namespace": metadata["namespace"],
        "workflow.uid": metadata["uid"],
        "workflow.mainEntrypoint": spec.get("entrypoint", ""),
        "workflow.serviceAccountName": spec.get("serviceAccountName", ""),
        "workflow.creationTimestamp": metadata["creationTimestamp"],
        "workflow.creationTimestamp.RFC3339": metadata["creationTimestamp"],
        "workflow.creationTimestamp.s": str(int(created.timestamp())),
        "workflow.parameters": encode(parameters).decode(),
        "workflow.parameters.json": encode(parameters).decode(),
    }
    for letter in _DATES:
        scope[f"workflow.creationTimestamp.{letter}"] = created.strftime(f"%{letter}")
    if spec.get("priority") is not None:
        scope["workflow.priority"] = str(spec["priority"])
    for kind in ("labels", "annotations"):
        entries = metadata.get(kind) or {}
        scope[f"workflow.{kind}"] = scope[f"workflow.{kind}.json"] = encode(entries).decode()
        scope |= {f"workflow.{kind}.{name}": value for name, value in entries.items()}
    for parameter in parameters:
        scope[f"workflow.parameters.{parameter['name']}"] = text(parameter["value"])
    outputs = (workflow.get("status") or {}).get("outputs") or {}
    for parameter in outputs.get("parameters") or ():
        scope[f"workflow.outputs.parameters.{parameter['name']}"] = text(parameter.get("value", ""))
    return scope


@dataclass(slots=True)
class LocalScope:
    """Tags and artifacts that one template can refer to: inputs, and outputs of earlier nodes."""

    values: dict[str, str | None] = field(default_factory=dict)
    artifacts: dict[str, Object] = field(default_factory=dict)

    def over(self, wider: Scope) -> Scope:
        """Return these tags on top of wider ones."""
        return {**wider, **self.values}

    def copy(self) -> "LocalScope":
        """Return an independent copy."""
        return LocalScope(dict(self.values), dict(self.artifacts))

    def add_workflow_artifacts(self, outputs: Object | None) -> None:
        """Add the artifacts that nodes exported by `globalName`."""
        for artifact in (outputs or {}).get("artifacts") or ():
            self.artifacts[f"workflow.outputs.artifacts.{artifact['name']}"] = artifact

    def add_node(self, prefix: str, node: Object, tree: NodeTree) -> None:
        """Add the fields and outputs of a node, below `steps.NAME` or `tasks.NAME`."""
        if node["type"] == "Retry" and (attempts := tree.attempts(node)):
            node = attempts[-1]
        for name in ("id", "startedAt", "finishedAt"):
            if node.get(name):
                self.values[f"{prefix}.{name}"] = node[name]
        self.values[f"{prefix}.status"] = node["phase"]
        outputs = node.get("outputs") or {}
        if outputs.get("result") is not None:
            self.values[f"{prefix}.outputs.result"] = outputs["result"]
        if outputs.get("exitCode") is not None:
            self.values[f"{prefix}.exitCode"] = outputs["exitCode"]
        for parameter in outputs.get("parameters") or ():
            if parameter.get("value") is not None:
                key = f"{prefix}.outputs.parameters.{parameter['name']}"
                self.values[key] = text(parameter["value"])
        for artifact in outputs.get("artifacts") or ():
            self.artifacts[f"{prefix}.outputs.artifacts.{artifact['name']}"] = artifact

    def add_skipped(self, prefix: str, template: Object) -> None:
        """Add the output parameters of a skipped node: their defaults, or None.

        Not its result: Argo waits for that forever.
        """
        for parameter in (template.get("outputs") or {}).get("parameters") or ():
            default = (parameter.get("valueFrom") or {}).get("default")
            key = f"{prefix}.outputs.parameters.{parameter['name']}"
            self.values[key] = None if default is None else text(default)

    def add_group(self, prefix: str, children: Iterable[Object]) -> None:
        """Add the outputs of a fan-out, each as a JSON list in the order of the items.

        Raises:
            TemplateError: a result is not JSON.
        """
        results: list[Json] = []
        rows: list[dict[str, str]] = []
        columns: dict[str, list[str]] = {}
        for child in sorted(children, key=_position):
            outputs = child.get("outputs") or {}
            if child["phase"] != "Succeeded":
                continue
            parameters = {
                p["name"]: text(p.get("value", "")) for p in outputs.get("parameters") or ()
            }
            if parameters:
                rows.append(parameters)
            for name, value in parameters.items():
                columns.setdefault(name, []).append(value)
            if outputs.get("result") is not None:
                results.append(_result(child))
        self.values[f"{prefix}.outputs.result"] = encode(results).decode()
        self.values[f"{prefix}.outputs.parameters"] = encode(rows).decode()
        for name, column in columns.items():
            key = f"{prefix}.outputs.parameters.{name}"
            self.values[key] = encode(_nested(column)).decode()


def _position(node: Object) -> int:
    index = node["name"].rpartition("(")[2].partition(":")[0].rstrip(")")
    return int(index) if index.isdigit() else 0


def _result(node: Object) -> Json:
    try:
        return decode(node["outputs"]["result"])
    except ValueError as e:
        message = f"the result of {node['displayName']} is not JSON, as items of a list must be"
        raise TemplateError(message) from e


def _nested(column: list[str]) -> list[Json]:
    """Return values as JSON if every one of them is an object or a list, else as strings."""
    try:
        items = [decode(value) for value in column]
    except ValueError:
        return list(column)
    return items if all(isinstance(item, dict | list) for item in items) else list(column)
