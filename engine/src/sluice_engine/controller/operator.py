"""One reconciliation: from spec and status to the next status and the steps to start.

The flow is that of `operate` in Argo's workflow/controller/operator.go (v4.0.7).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sluice_engine.controller.errors import TemplateError, UnsupportedError, WaitingError
from sluice_engine.controller.execute_template import execute
from sluice_engine.controller.inputs import Arguments, resolve_arguments
from sluice_engine.controller.names import pod_name
from sluice_engine.controller.nodes import NodeTree, fulfilled, unsuccessful
from sluice_engine.controller.scope import LocalScope, global_scope
from sluice_engine.controller.supported import check_supported
from sluice_engine.controller.template_resolution import (
    StoredTemplates,
    TemplateContext,
    execution_spec,
)
from sluice_engine.controller.validate import validate
from sluice_engine.controller.walk import Call, Walk
from sluice_engine.documents import Object, encode
from sluice_engine.steps.orders import StepOrder, StepResult
from sluice_engine.store.metadata import timestamp

__all__ = ["COMPLETED_LABEL", "PHASE_LABEL", "Outcome", "fail", "is_completed", "operate"]

PHASE_LABEL: Final = "workflows.argoproj.io/phase"
COMPLETED_LABEL: Final = "workflows.argoproj.io/completed"

_COMPLETED: Final = frozenset({"Succeeded", "Failed", "Error"})
_PHASES: Final = {"Skipped": "Succeeded", "Omitted": "Succeeded"}


@dataclass(slots=True)
class Outcome:
    """The result of one reconciliation, in addition to the new status."""

    orders: list[StepOrder] = field(default_factory=list)
    starved: bool = False
    wake_at: datetime | None = None


def is_completed(workflow: Object) -> bool:
    """Return whether a Workflow is done; a retry removes the label."""
    return (workflow["metadata"].get("labels") or {}).get(COMPLETED_LABEL) == "true"


def operate(
    workflow: Object,
    *,
    now: datetime,
    results: Mapping[str, StepResult],
    is_live: Callable[[str], bool],
    slots: int,
    stored: StoredTemplates,
) -> Outcome:
    """Advance a Workflow, which is changed in place, as far as possible without waiting.

    Args:
        workflow: the object.
        now: the time.
        results: how steps ended since the last look, by node id.
        is_live: returns whether the step of a node id is running.
        slots: how many more steps may be started.
        stored: looks up WorkflowTemplates.
    """
    if is_completed(workflow):
        return Outcome()
    status = workflow.setdefault("status", {})
    tree = NodeTree(workflow["metadata"]["name"], status.setdefault("nodes", {}), now)
    try:
        spec = execution_spec(workflow, stored)
        if not status.get("phase"):
            check_supported(spec)
            _validate(workflow, spec)
        scope = global_scope(workflow, spec)
    except UnsupportedError as e:
        _mark(workflow, "Error", str(e), now)
        return Outcome()
    except _InvalidSpecError as e:
        _mark(workflow, "Failed", f"invalid spec: {e}", now)
        return Outcome()
    except TemplateError as e:
        _mark(workflow, "Error", str(e), now)
        return Outcome()
    if status.get("phase") in {None, "", "Pending"}:
        _mark(workflow, "Running", "", now)
    walk = Walk(
        workflow=workflow,
        spec=spec,
        tree=tree,
        scope=scope,
        now=now,
        slots=slots,
        is_live=is_live,
        execute=execute,
        deadline=_deadline(spec, status),
    )
    if walk.deadline is not None and not walk.past_deadline:
        walk.wake(walk.deadline)
    _take_results(walk, results)
    _control(walk)
    if not spec.get("suspend"):
        _carry_out(walk, stored)
    status["progress"] = tree.progress()
    return Outcome(walk.orders, walk.starved, walk.wake_at)


class _InvalidSpecError(Exception):
    """Argo's validation fails the Workflow rather than calling it an error."""


def _validate(workflow: Object, spec: Object) -> None:
    try:
        validate(workflow["metadata"]["name"], spec)
    except TemplateError as e:
        raise _InvalidSpecError(str(e)) from e


def _deadline(spec: Object, status: Object) -> datetime | None:
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is None or not status.get("startedAt"):
        return None
    return datetime.fromisoformat(status["startedAt"]) + timedelta(seconds=float(seconds))


def _mark(workflow: Object, phase: str, message: str, now: datetime) -> None:
    """Set the phase of a Workflow; a final one also sets labels, condition and end time."""
    status = workflow["status"]
    labels = workflow["metadata"].setdefault("labels", {})
    status["phase"] = labels[PHASE_LABEL] = phase
    labels.setdefault(COMPLETED_LABEL, "false")
    status.setdefault("startedAt", None)
    status["startedAt"] = status["startedAt"] or timestamp(now)
    status["finishedAt"] = None
    status.pop("message", None)
    if message:
        status["message"] = message
    if phase in _COMPLETED:
        status["finishedAt"] = timestamp(now)
        labels[COMPLETED_LABEL] = "true"
        conditions = status.get("conditions") or []
        others = [c for c in conditions if c.get("type") != "Completed"]
        status["conditions"] = [*others, {"type": "Completed", "status": "True"}]


def fail(workflow: Object, message: str, now: datetime) -> None:
    """End a Workflow in Error, because the engine cannot go on with it."""
    if not isinstance(workflow.get("status"), dict):
        workflow["status"] = {}
    _mark(workflow, "Error", message, now)


def _take_results(walk: Walk, results: Mapping[str, StepResult]) -> None:
    for node_id, result in results.items():
        node = walk.tree.nodes.get(node_id)
        if node is None or fulfilled(node):
            continue
        if result.outputs:
            node["outputs"] = result.outputs
        walk.tree.mark(node, result.phase, result.message)
        walk.export(result.outputs)


def _control(walk: Walk) -> None:
    """End the steps that a shutdown or the deadline does not let go on."""
    if not walk.shutdown and not walk.past_deadline:
        return
    tree = walk.tree
    for node in list(tree.inside(None, frozenset({"Pod", "Suspend"}))):
        if fulfilled(node):
            continue
        on_exit = tree.in_exit_handler(node)
        if not walk.may_run(on_exit=on_exit):
            is_pod = node["type"] == "Pod"
            # Argo has these two texts, one of them with two spaces.
            tree.mark(
                node,
                "Failed",
                f"workflow shutdown with strategy:  {walk.shutdown}"
                if is_pod
                else f"Stopped with strategy '{walk.shutdown}'",
            )
        elif walk.past_deadline and not on_exit:
            tree.mark(node, "Failed", "Step exceeded its deadline")


def _carry_out(walk: Walk, stored: StoredTemplates) -> None:
    """Execute the entrypoint, then the exit handler; the Workflow is done when both are."""
    spec, status = walk.spec, walk.workflow["status"]
    context = TemplateContext(
        templates={t["name"]: t for t in spec.get("templates") or ()},
        defaults=spec.get("templateDefaults") or {},
        stored=stored,
        kept=status.get("storedTemplates") or {},
    )
    name = walk.tree.workflow
    try:
        entry = Call(
            name=name,
            holder={"template": spec["entrypoint"]},
            context=context,
            arguments=_entry_arguments(walk),
        )
        root = _execute(walk, entry)
        handler = _exit_handler(walk, context, root)
    except TemplateError as e:
        _mark(walk.workflow, "Error", f"error in entry template execution: {e}", walk.now)
        return
    finally:
        if context.kept:
            status["storedTemplates"] = context.kept
    if fulfilled(root) and (handler is None or fulfilled(handler)):
        _finish(walk, root, handler)


def _entry_arguments(walk: Walk) -> Arguments:
    """The Workflow's arguments; values of parameters are text, artifacts may hold tags."""
    declared = walk.spec.get("arguments") or {}
    resolved = resolve_arguments({"artifacts": declared.get("artifacts")}, LocalScope(), walk.scope)
    names = [parameter["name"] for parameter in declared.get("parameters") or ()]
    values = {name: walk.scope[f"workflow.parameters.{name}"] or "" for name in names}
    return Arguments(values, resolved.artifacts)


def _exit_handler(walk: Walk, context: TemplateContext, root: Object) -> Object | None:
    """Reconcile `onExit` once the root is done; None if there is none to wait for."""
    template = walk.spec.get("onExit")
    if not template or not fulfilled(root):
        return None
    name = f"{walk.tree.workflow}.onExit"
    handler = walk.tree.get(name)
    if handler is None and not walk.may_run(on_exit=True):
        return None
    started = datetime.fromisoformat(walk.workflow["status"]["startedAt"])
    walk.scope["workflow.status"] = _PHASES.get(root["phase"], root["phase"])
    walk.scope["workflow.duration"] = f"{(walk.now - started).total_seconds():f}"
    walk.scope["workflow.failures"] = encode(encode(_failures(walk)).decode()).decode()
    call = Call(
        name=name,
        holder={"template": template},
        context=context,
        arguments=_entry_arguments(walk),
        on_exit=True,
        flag={"hooked": True},
    )
    return _execute(walk, call)


def _execute(walk: Walk, call: Call) -> Object:
    try:
        return execute(walk, call)
    except WaitingError:
        return walk.tree.get(call.name) or {"phase": "Pending"}


def _failures(walk: Walk) -> list[Object] | None:
    """Describe the nodes that failed; Argo writes an empty list as `null`."""
    failures: list[Object] = [
        {
            "displayName": node["displayName"],
            "message": node.get("message", ""),
            "templateName": node.get("templateName", ""),
            "phase": node["phase"],
            "podName": pod_name(walk.tree.workflow, node["name"], node.get("templateName", "")),
            "finishedAt": node["finishedAt"],
        }
        for node in walk.tree.nodes.values()
        if unsuccessful(node)
    ]
    return failures or None


def _finish(walk: Walk, root: Object, handler: Object | None) -> None:
    phase = _PHASES.get(root["phase"], root["phase"])
    message = str(root.get("message") or "")
    if unsuccessful(root) and walk.shutdown:
        message = f"Stopped with strategy '{walk.shutdown}'"
    if phase == "Succeeded":
        message = ""
        if handler is not None and unsuccessful(handler):
            phase, message = handler["phase"], str(handler.get("message") or "")
    _mark(walk.workflow, str(phase), message, walk.now)
