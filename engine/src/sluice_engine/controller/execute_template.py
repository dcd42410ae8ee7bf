"""Executes a template of any type."""

from dataclasses import replace
from typing import Final

from sluice_engine.controller.dag import run_dag
from sluice_engine.controller.errors import TemplateError, WaitingError
from sluice_engine.controller.inputs import Inputs, resolve_inputs
from sluice_engine.controller.leaves import run_pod, run_suspend
from sluice_engine.controller.names import pod_name
from sluice_engine.controller.nodes import fulfilled, unsuccessful
from sluice_engine.controller.retries import next_attempt
from sluice_engine.controller.steps import run_steps
from sluice_engine.controller.walk import Boundary, Call, Walk
from sluice_engine.documents import Object

__all__ = ["execute"]

_MAX_DEPTH: Final = 100
_ACTIVE: Final = frozenset({"Pending", "Running"})
_PODS: Final = frozenset({"Pod"})
_WORKING: Final = frozenset({"Pod", "Steps", "DAG"})
_FAIL_FAST: Final = "template has failed or errored children and failFast enabled"


def execute(walk: Walk, call: Call) -> Object:
    """Reconcile a node once and return it; an invalid template ends in Error.

    Raises:
        WaitingError: a limit holds it back for now.
    """
    node = walk.tree.get(call.name)
    if node is not None and fulfilled(node):
        return node
    if node is not None and node["type"] == "Pod" and _needs_nothing(walk, node):
        return node
    if walk.depth >= _MAX_DEPTH:
        return _refuse(walk, call, TemplateError("Maximum recursion depth exceeded"))
    walk.depth += 1
    try:
        template, context = call.context.resolve(call.holder)
        call = replace(call, context=context, tags={**call.tags, **_names(walk, call, template)})
        inputs = resolve_inputs(template, call.arguments, {**walk.scope, **call.tags})
        _check_parallelism(walk, call, template, node)
        strategy = template.get("retryStrategy")
        if strategy is None:
            strategy = walk.spec.get("retryStrategy")
        if strategy is None:
            return _run(walk, call, template, inputs)
        return _retry(walk, call, template, inputs, strategy)
    except TemplateError as e:
        return _refuse(walk, call, e)
    finally:
        walk.depth -= 1


def _needs_nothing(walk: Walk, node: Object) -> bool:
    """Return whether a step runs or must wait: then its input need not be resolved again."""
    if walk.is_live(node["id"]):
        return True
    walk.starved = walk.starved or walk.slots <= 0
    return walk.slots <= 0


def _names(walk: Walk, call: Call, template: Object) -> dict[str, str]:
    name = str(call.holder.get("name") or "")
    names = {"node.name": call.name, "steps.name": name, "tasks.name": name}
    names["pod.name"] = pod_name(walk.tree.workflow, call.name, template.get("name", ""))
    return names


def _refuse(walk: Walk, call: Call, error: TemplateError) -> Object:
    in_dag = call.boundary is not None and "dag" in call.boundary.template
    message = f"task '{call.name}' errored: {error}" if in_dag else str(error)
    return walk.tree.refuse(
        call.name, message, holder=call.holder, boundary=call.boundary_id, flag=call.flag
    )


def _run(walk: Walk, call: Call, template: Object, inputs: Inputs) -> Object:
    for kind, run in (("steps", run_steps), ("dag", run_dag), ("suspend", run_suspend)):
        if kind in template:
            return run(walk, call, template, inputs)
    return run_pod(walk, call, template, inputs)


def _retry(walk: Walk, call: Call, template: Object, inputs: Inputs, strategy: Object) -> Object:
    """Run attempts under a Retry node until one succeeds or the strategy allows no more."""
    tree = walk.tree
    node = tree.get(call.name)
    if node is None:
        node = tree.create(
            call.name,
            "Retry",
            "Running",
            holder=call.holder,
            boundary=call.boundary_id,
            flag=call.flag,
        )
        if document := inputs.document():
            node["inputs"] = document
    while True:
        attempts = tree.attempts(node)
        last = attempts[-1] if attempts else None
        if last is None or fulfilled(last):
            if not next_attempt(walk, node, attempts, strategy):
                return node
            number = len(attempts)
        else:
            number = len(attempts) - 1
        name = last["name"] if last and not fulfilled(last) else f"{call.name}({number})"
        tags = _retry_tags(number, last)
        tags["pod.name"] = pod_name(tree.workflow, name, template.get("name", ""))
        tree.link(node, name)
        attempt = call.under(name, retried=True, tags=tags)
        try:
            child = _run(walk, attempt, template, inputs)
        except TemplateError as e:
            child = _refuse(walk, attempt, e)
        if not fulfilled(child):
            return node


def _retry_tags(number: int, last: Object | None) -> dict[str, str]:
    last = last or {}
    outputs = last.get("outputs") or {}
    return {
        "retries": str(number),
        "lastRetry.exitCode": outputs.get("exitCode") or "0",
        "lastRetry.status": last.get("phase") or "",
        "lastRetry.message": last.get("message") or "",
    }


def _is_active(node: Object) -> bool:
    return node["phase"] in _ACTIVE


def _check_parallelism(walk: Walk, call: Call, template: Object, node: Object | None) -> None:
    """Hold a node back while the Workflow or the template around it is at a limit.

    Raises:
        WaitingError: it is.
    """
    new = node is None or not _is_active(node)
    limit = walk.spec.get("parallelism")
    is_pod = "container" in template or "script" in template
    if limit and new and is_pod and walk.tree.count(None, _PODS, _is_active) >= int(limit):
        raise WaitingError
    if node is not None and ("dag" in template or "steps" in template):
        _check_fail_fast(walk, Boundary(node["id"], template))
    if new and call.boundary is not None:
        _check_fail_fast(walk, call.boundary)
        limit = call.boundary.template.get("parallelism")
        around = call.boundary.node_id
        if limit and walk.tree.count(around, _WORKING, _is_active) >= int(limit):
            raise WaitingError


def _check_fail_fast(walk: Walk, boundary: Boundary) -> None:
    """With `failFast` on a template, one failed child ends it as soon as no other runs."""
    tree, around = walk.tree, boundary.node_id
    if not boundary.template.get("failFast"):
        return
    if tree.count(around, _WORKING, unsuccessful):
        if not tree.count(around, _PODS, _is_active):
            groups = list(tree.inside(around, frozenset({"StepGroup"})))
            for node in (*groups[-1:], tree.nodes[around]):
                if not fulfilled(node):
                    tree.mark(node, "Failed", _FAIL_FAST)
        raise WaitingError
