"""Reopening a finished Workflow, as Argo's RetryWorkflow does (workflow/util/util.go)."""

from datetime import datetime, timedelta
from typing import Any, Final

from sluice_argo import metadata
from sluice_argo.outcomes import decode_outcome
from sluice_argo.pod_names import pod_name
from sluice_argo.status_nodes import Nodes, write_nodes
from sluice_argo.timestamps import format_timestamp, parse_timestamp
from sluice_contracts.requests import RetryCommand
from sluice_dispatcher.domain.command_nodes import nodes_named, readable_nodes
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.pod_cleanup import deletion_delay
from sluice_dispatcher.domain.retry_nodes import exit_handler_of, nodes_after_retry, whole_step
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError

__all__ = ["reopen"]

_RETRYABLE: Final = frozenset({"Failed", "Error"})
_SETTLING: Final = timedelta(seconds=5)
_PHASE_LABEL: Final = "workflows.argoproj.io/phase"
_FINISHED_LABELS: Final = (
    "workflows.argoproj.io/completed",
    "workflows.argoproj.io/workflow-archiving-status",
)


def reopen(workflow: Manifest, command: RetryCommand, *, now: datetime) -> tuple[str, ...]:
    """Let the Workflow run again; changes `workflow`, and returns the pods in its way.

    A pod's name follows from its node's. Argo would take the pod of the last attempt for the new
    one, so it must be deleted before.

    Raises:
        InapplicableCommandError: the run has not ended, or has not failed and no step is to run
            again, or there is no such step.
        MustWaitError: the outcome of the last attempt is not published yet, or Argo may still be
            at work on its end.
    """
    status = workflow.get("status") or {}
    _check_ended(status, command)
    if workflow["metadata"].get("deletionTimestamp"):
        raise InapplicableCommandError("The run's Workflow is being deleted.")
    if not _is_published(workflow):
        # The status-watcher would take the next attempt for a part of this one.
        raise MustWaitError(
            "The outcome of this attempt is not published yet.", reason=WaitReason.STATUS_WATCHER
        )
    name = workflow["metadata"]["name"]
    before = readable_nodes(status)
    after = nodes_after_retry(
        before, workflow_name=name, again=_again(before, command, name), now=now
    )
    pods = [
        node
        for node_id, node in before.items()
        if node.get("type") == "Pod" and node_id not in after
    ]
    _check_settled(status, now=now, settling=_SETTLING + deletion_delay(workflow, pods))
    status = write_nodes(status, after)
    for gone in ("finishedAt", "message", "outputs", "progress", "persistentVolumeClaims"):
        status.pop(gone, None)
    conditions = [c for c in status.get("conditions") or [] if c.get("type") != "Completed"]
    status["conditions"] = [*conditions, {"type": "Completed", "status": "False"}]
    if stored := status.get("storedWorkflowTemplateSpec"):
        status["storedWorkflowTemplateSpec"] = {
            field: value for field, value in stored.items() if field != "shutdown"
        }
    workflow["status"] = {**status, "phase": "Running", "startedAt": format_timestamp(now)}
    _forget_end(workflow)
    return tuple(pod_name(workflow, node) for node in pods)


def _check_ended(status: dict[str, Any], command: RetryCommand) -> None:
    phase = status.get("phase")
    chosen = command.step is not None or command.restart_succeeded
    if phase in _RETRYABLE or (phase == "Succeeded" and chosen):
        return
    if phase == "Succeeded":
        raise InapplicableCommandError(
            "The run has succeeded; to run it again, name a step or set restart_succeeded."
        )
    raise InapplicableCommandError(
        f"Only a run that has ended can be retried; this one is {phase}."
    )


def _again(nodes: Nodes, command: RetryCommand, workflow_name: str) -> list[str]:
    """Return the ids of the nodes that run again although they may have succeeded."""
    if command.restart_succeeded:
        return list(nodes)
    if command.step is None:
        return []
    found = [
        node_id
        for node_id in nodes_named(nodes, command.step)
        if not nodes[node_id].get("name", "").startswith(exit_handler_of(workflow_name))
    ]
    if not found:
        raise InapplicableCommandError(f"No step of the run has the id or name {command.step!r}.")
    if len(found) > 1:
        raise InapplicableCommandError(
            f"{len(found)} steps of the run have the name {command.step!r}; give an id."
        )
    return [whole_step(nodes, found[0])]


def _forget_end(workflow: Manifest) -> None:
    """Remove what says that the Workflow has ended, or is to end."""
    workflow["spec"].pop("shutdown", None)
    labels = workflow["metadata"].setdefault("labels", {})
    for label in _FINISHED_LABELS:
        labels.pop(label, None)
    labels[_PHASE_LABEL] = "Running"
    finalizers = workflow["metadata"].setdefault("finalizers", [])
    if metadata.FINALIZER not in finalizers:
        # The outcome of the new attempt must be published before the object may go, too.
        finalizers.append(metadata.FINALIZER)


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


def _check_settled(status: dict[str, Any], *, now: datetime, settling: timedelta) -> None:
    """Let the retry wait while Argo's controller may still be processing the end.

    For about a second after it has written the end, the controller still holds the Workflow; then
    it forgets it. A Workflow reopened in between would stay "postponed due to max parallelism
    limit" (v4.0 workflow/controller: persistUpdates, processNextItem).
    """
    ended = parse_timestamp(status.get("finishedAt"))
    # An end far in the future comes from a wrong clock; waiting for it would take too long.
    if ended is None or abs(now - ended) >= settling:
        return
    left = min(settling, settling - (now - ended)).total_seconds()
    raise MustWaitError(
        "Argo may still be at work on the end of this attempt, or delete its pods.",
        reason=WaitReason.ARGO,
        retry_after=left,
    )
