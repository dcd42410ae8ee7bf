"""From a command and a Workflow as it was read to a JSON Patch.

The changes are those of Argo's own `stop`, `terminate`, `suspend`, `resume` and `retry`
(workflow/util/util.go: StopWorkflow, ResumeWorkflow, FormulateRetryWorkflow).
"""

import copy
import json
from datetime import datetime, timedelta
from typing import Any, assert_never

from sluice_argo import metadata
from sluice_argo.json_patch import add, remove, test
from sluice_argo.outcomes import decode_outcome
from sluice_argo.status_nodes import (
    Nodes,
    UnreadableNodesError,
    read_nodes,
    write_nodes,
)
from sluice_argo.timestamps import format_timestamp, parse_timestamp
from sluice_contracts.records import IncomingRecord
from sluice_contracts.requests import CommandType
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason

__all__ = ["NotApplicableError", "build_patch", "was_applied"]

_FINISHED = frozenset({"Succeeded", "Failed", "Error"})
_RETRYABLE = frozenset({"Failed", "Error"})
_GROUPS = frozenset({"DAG", "Steps", "StepGroup", "TaskGroup"})
_KEPT = frozenset({"Succeeded", "Skipped"})
_SETTLING = timedelta(seconds=5)
_APPENDED = " appended"
# Brokers set the timestamps, and the clock of a new partition leader may be behind.
_CLOCKS_DIFFER_MS = 5 * 60 * 1000
_PHASE_LABEL = "workflows.argoproj.io/phase"
_FINISHED_LABELS = (
    "workflows.argoproj.io/completed",
    "workflows.argoproj.io/workflow-archiving-status",
)


class NotApplicableError(ValueError):
    """The command does not apply to the Workflow's state; the message says why."""


def was_applied(workflow: Manifest, record: IncomingRecord) -> bool:
    """Return whether the command of this record was applied already.

    A redelivered `retry` must not retry twice. So an annotation of the Workflow keeps, per
    partition, offset and time of the last command applied; Kafka's order does the rest. A record
    with a lower offset may have been appended much later. Its topic was deleted and created again,
    and the command is new.
    """
    applied = _applied(workflow)
    partition = _partition(record)
    offset = applied.get(partition)
    if offset is None or record.position.offset > offset:
        return False
    appended_ms = applied.get(f"{partition}{_APPENDED}")
    return appended_ms is None or record.timestamp_ms <= appended_ms + _CLOCKS_DIFFER_MS


def build_patch(
    workflow: Manifest, command: CommandType, *, record: IncomingRecord, now: datetime
) -> list[Manifest]:
    """Return the JSON Patch that applies the command to the object as it was read.

    It tests the resourceVersion, so that it cannot overwrite what the controller does meanwhile.

    Raises:
        NotApplicableError: for instance a retry of a run that has not failed.
        MustWaitError: a retry came before the outcome of the last attempt was published.
    """
    changed = copy.deepcopy(workflow)
    match command:
        case "stop":
            _check_running(workflow, command)
            changed["spec"]["shutdown"] = "Stop"
        case "terminate":
            _check_running(workflow, command)
            changed["spec"]["shutdown"] = "Terminate"
        case "suspend":
            _check_running(workflow, command)
            changed["spec"]["suspend"] = True
        case "resume":
            _check_running(workflow, command)
            _resume(changed, now=now)
        case "retry":
            _reopen(changed, now=now)
        case _:
            assert_never(command)
    _record_applied(changed, record)
    unchanged = test("/metadata/resourceVersion", workflow["metadata"]["resourceVersion"])
    return [unchanged, *_differences(workflow, changed)]


def _check_running(workflow: Manifest, command: CommandType) -> None:
    phase = (workflow.get("status") or {}).get("phase")
    if phase in _FINISHED:
        raise NotApplicableError(f"The run has ended as {phase}; there is nothing to {command}.")


def _resume(workflow: Manifest, *, now: datetime) -> None:
    workflow["spec"].pop("suspend", None)
    status = workflow.get("status") or {}
    nodes = _nodes(status)
    waiting = [
        node
        for node in nodes.values()
        if node.get("type") == "Suspend" and node.get("phase") == "Running"
    ]
    for node in waiting:
        node["phase"] = "Succeeded"
        node["finishedAt"] = format_timestamp(now)
    if waiting:
        workflow["status"] = write_nodes(status, nodes)


def _reopen(workflow: Manifest, *, now: datetime) -> None:
    status = workflow.get("status") or {}
    phase = status.get("phase")
    if phase not in _RETRYABLE:
        raise NotApplicableError(
            f"Only a run that ended as Failed or Error can be retried; this one is {phase}."
        )
    if workflow["metadata"].get("deletionTimestamp"):
        raise NotApplicableError("The run's Workflow is being deleted.")
    if not _is_published(workflow):
        # The status-watcher would take the next attempt for a part of this one.
        raise _too_early("The outcome of this attempt is not published yet.")
    if _has_just_ended(status, now=now):
        raise _too_early("The attempt has only just ended.")
    status = write_nodes(status, _nodes_to_keep(_nodes(status), workflow["metadata"]["name"]))
    for gone in ("finishedAt", "message", "outputs", "progress"):
        status.pop(gone, None)
    conditions = [c for c in status.get("conditions") or [] if c.get("type") != "Completed"]
    status["conditions"] = [*conditions, {"type": "Completed", "status": "False"}]
    workflow["status"] = {**status, "phase": "Running", "startedAt": format_timestamp(now)}
    workflow["spec"].pop("shutdown", None)
    labels = workflow["metadata"].setdefault("labels", {})
    for label in _FINISHED_LABELS:
        labels.pop(label, None)
    labels[_PHASE_LABEL] = "Running"
    finalizers = workflow["metadata"].setdefault("finalizers", [])
    if metadata.FINALIZER not in finalizers:
        # The outcome of the new attempt must be published before the object may go, too.
        finalizers.append(metadata.FINALIZER)


def _too_early(message: str) -> MustWaitError:
    return MustWaitError(message, reason=WaitReason.STATUS_WATCHER)


def _nodes_to_keep(nodes: Nodes, workflow_name: str) -> Nodes:
    """Return the succeeded nodes and the reopened groups around the others; drop the rest."""
    kept: Nodes = {}
    for node_id, node in nodes.items():
        if node.get("name", "").startswith(f"{workflow_name}.onExit"):
            continue
        if node.get("phase") in _KEPT:
            kept[node_id] = node
        elif node.get("type") in _GROUPS:
            opened = {
                k: v for k, v in node.items() if k not in ("finishedAt", "message", "outputs")
            }
            kept[node_id] = {**opened, "phase": "Running"}
    for node in kept.values():
        for links in ("children", "outboundNodes"):
            if links in node:
                node[links] = [child for child in node[links] if child in kept]
    return kept


def _nodes(status: dict[str, Any]) -> Nodes:
    if status.get("offloadNodeStatusVersion"):
        raise NotApplicableError("Argo keeps the run's steps in its database, out of reach here.")
    try:
        return read_nodes(status)
    except UnreadableNodesError as e:
        raise NotApplicableError("The steps in the Workflow's status cannot be read.") from e


def _is_published(workflow: Manifest) -> bool:
    """Return whether the mark of the status-watcher is of this end."""
    annotations = workflow["metadata"].get("annotations") or {}
    published = decode_outcome(annotations.get(metadata.PUBLISHED))
    status = workflow["status"]
    finished_at = parse_timestamp(status.get("finishedAt"))
    if published is None or finished_at is None:
        return False
    # The time has whole seconds, and a retry can end within one.
    return published.phase == status.get("phase") and published.finished_at == finished_at


def _has_just_ended(status: dict[str, Any], *, now: datetime) -> bool:
    """Return whether Argo's controller may still be processing the end.

    For about a second after it has written the end, the controller still holds the Workflow; then
    it forgets it. A Workflow reopened in between would stay "postponed due to max parallelism
    limit" (v4.0 workflow/controller: persistUpdates, processNextItem).
    """
    ended = parse_timestamp(status.get("finishedAt"))
    # An end far in the future comes from a wrong clock; waiting for it would take too long.
    return ended is not None and abs(now - ended) < _SETTLING


def _applied(workflow: Manifest) -> dict[str, int]:
    annotations = workflow["metadata"].get("annotations") or {}
    try:
        applied = json.loads(annotations.get(metadata.APPLIED_COMMANDS, "{}"))
    except ValueError:
        # Another client has overwritten the annotation; what it said is lost.
        return {}
    if not isinstance(applied, dict):
        return {}
    return {key: number for key, number in applied.items() if isinstance(number, int)}


def _record_applied(workflow: Manifest, record: IncomingRecord) -> None:
    partition = _partition(record)
    applied = _applied(workflow) | {
        partition: record.position.offset,
        f"{partition}{_APPENDED}": record.timestamp_ms,
    }
    annotations = workflow["metadata"].setdefault("annotations", {})
    annotations[metadata.APPLIED_COMMANDS] = json.dumps(applied, sort_keys=True)


def _partition(record: IncomingRecord) -> str:
    return f"{record.position.topic}/{record.position.partition}"


def _differences(before: Manifest, after: Manifest) -> list[Manifest]:
    """Return operations for the members of metadata, spec and status that differ."""
    operations: list[Manifest] = []
    for part in ("metadata", "spec", "status"):
        old: dict[str, Any] | None = before.get(part)
        new: dict[str, Any] = after.get(part) or {}
        if old is None:
            if new:
                operations.append(add(f"/{part}", new))
            continue
        operations += [remove(f"/{part}/{name}") for name in old if name not in new]
        operations += [
            add(f"/{part}/{name}", value)
            for name, value in new.items()
            if name not in old or old[name] != value
        ]
    return operations
