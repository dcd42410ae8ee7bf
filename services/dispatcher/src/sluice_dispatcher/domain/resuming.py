"""Resuming a Workflow, and answering its suspended steps.

As Argo's ResumeWorkflow and updateSuspendedNode do (workflow/util/util.go). Argo keeps an answer
in the outputs of the step: https://argo-workflows.readthedocs.io/en/latest/intermediate-inputs/
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sluice_argo.status_nodes import Nodes, write_nodes
from sluice_argo.timestamps import format_timestamp
from sluice_contracts.problems import FieldError
from sluice_contracts.requests import ResumeCommand
from sluice_dispatcher.domain.command_nodes import Node, nodes_named, readable_nodes
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError
from sluice_workflows.parameters import why_evaluated

__all__ = ["resume"]


def resume(workflow: Manifest, command: ResumeCommand, *, now: datetime) -> None:
    """Let the suspended steps succeed with the command's values; changes `workflow`.

    With a step, only that one goes on, and `spec.suspend` stays as it is.

    Raises:
        InapplicableCommandError: no such step waits, or the values are not those that it waits for.
    """
    status = workflow.get("status") or {}
    nodes = readable_nodes(status)
    answered = _answered(nodes, command)
    if command.step is None:
        workflow["spec"].pop("suspend", None)
    if not answered:
        return
    _check(answered, command.values)
    status = dict(status)
    for node in answered:
        for output in _supplied(node):
            _supply(output, command.values)
            _export(status, output)
        node["phase"] = "Succeeded"
        node["finishedAt"] = format_timestamp(now)
    workflow["status"] = write_nodes(status, nodes)


def _answered(nodes: Nodes, command: ResumeCommand) -> list[Node]:
    waiting = {
        node_id: node
        for node_id, node in nodes.items()
        if node.get("type") == "Suspend" and node.get("phase") == "Running"
    }
    if command.step is None:
        if command.values and not waiting:
            raise InapplicableCommandError("No step of the run waits for an answer.")
        return list(waiting.values())
    found = nodes_named(waiting, command.step)
    if not found:
        raise InapplicableCommandError(
            f"No suspended step has the id or name {command.step!r}; `waiting_for` lists them."
        )
    if len(found) > 1:
        raise InapplicableCommandError(
            f"{len(found)} suspended steps have the name {command.step!r}; give an id."
        )
    return [waiting[found[0]]]


def _check(answered: list[Node], values: Mapping[str, str]) -> None:
    errors = {error.pointer: error for node in answered for error in _misfits(node, values)}
    if errors:
        raise InapplicableCommandError(
            "The values are not those that the step waits for.", errors=tuple(errors.values())
        )
    for node in answered:
        for output in _supplied(node):
            name = output["name"]
            if name not in values and "default" not in output["valueFrom"]:
                shown = node.get("displayName") or node.get("name")
                raise InapplicableCommandError(
                    f"The step {shown!r} waits for a value of {name!r}, which has no default."
                )


def _misfits(node: Node, values: Mapping[str, str]) -> Iterator[FieldError]:
    choices = {
        parameter.get("name"): parameter["enum"]
        for parameter in _parameters(node.get("inputs"))
        if isinstance(parameter.get("enum"), list)
    }
    expected = {output["name"] for output in _supplied(node)}
    for name, value in values.items():
        pointer = f"/values/{name}"
        if name not in expected:
            yield FieldError(pointer=pointer, detail="No suspended step waits for this value.")
        elif choices.get(name) and value not in choices[name]:
            yield FieldError(pointer=pointer, detail="Must be one of the step's choices.")
        elif (why := why_evaluated(value)) is not None:
            yield FieldError(pointer=pointer, detail=why)


def _supplied(node: Node) -> list[dict[str, Any]]:
    """Return the outputs that the step waits for: Argo removes `valueFrom` from those it has."""
    return [
        output
        for output in _parameters(node.get("outputs"))
        if isinstance(output.get("valueFrom"), dict)
        and "supplied" in output["valueFrom"]
        and isinstance(output.get("name"), str)
    ]


def _supply(output: dict[str, Any], values: Mapping[str, str]) -> None:
    default = output.pop("valueFrom").get("default")
    output["value"] = values.get(output["name"], default)


def _export(status: dict[str, Any], output: Mapping[str, Any]) -> None:
    """Add the output to those of the Workflow, if it has a global name (AddParamToGlobalScope)."""
    name = output.get("globalName")
    if not name:
        return
    outputs = status.get("outputs") or {}
    others = [found for found in _parameters(outputs) if found.get("name") != name]
    exported = {"name": name, "value": output["value"]}
    status["outputs"] = {**outputs, "parameters": [*others, exported]}


def _parameters(holder: object) -> list[dict[str, Any]]:
    parameters = holder.get("parameters") if isinstance(holder, dict) else None
    return [each for each in parameters or () if isinstance(each, dict)]
