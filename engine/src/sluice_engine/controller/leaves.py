"""Templates without templates inside: container, script and suspend."""

from datetime import timedelta

from sluice_engine.controller.inputs import Inputs
from sluice_engine.controller.names import task_name
from sluice_engine.controller.nodes import fulfilled
from sluice_engine.controller.scope import text
from sluice_engine.controller.substitution import substitute
from sluice_engine.controller.walk import Call, Walk
from sluice_engine.controller.workflow_pod import pod_order
from sluice_engine.documents import Object, encode

__all__ = ["run_pod", "run_suspend"]


def run_pod(walk: Walk, call: Call, template: Object, inputs: Inputs) -> Object:
    """Start the step of a container or script template as soon as a slot is free.

    Raises:
        TemplateError: the container cannot be made out of the template.
    """
    tree = walk.tree
    node = tree.get(call.name)
    if node is not None and walk.is_live(node["id"]):
        return node
    new = node is None
    if node is None:
        node = _node(walk, call, "Pod", "Pending", inputs)
    if not walk.may_run(on_exit=call.on_exit):
        message = f"workflow shutdown with strategy: {walk.shutdown}"
        return tree.mark(node, "Failed", message)
    if walk.past_deadline and not call.on_exit:
        return tree.mark(node, "Failed", "Step exceeded its deadline")
    if walk.slots <= 0:
        walk.starved = True
        return node
    order = pod_order(
        walk.workflow["metadata"]["uid"],
        node["id"],
        template,
        volumes=[*(walk.spec.get("volumes") or ()), *(template.get("volumes") or ())],
        inputs=inputs,
        scope=inputs.scope.over({**walk.scope, **call.tags}),
        capture_result=_is_referred(call),
    )
    walk.slots -= 1
    walk.orders.append(order)
    if new or node["phase"] == "Pending":
        tree.mark(node, "Running", "")
    return node


def _is_referred(call: Call) -> bool:
    """Argo keeps the output of a step only if the template around it mentions its result."""
    if call.boundary is None:
        return False
    kind = "tasks" if "dag" in call.boundary.template else "steps"
    reference = f"{kind}.{task_name(call.name)}.outputs.result"
    return reference in encode(call.boundary.template).decode()


def _node(walk: Walk, call: Call, kind: str, phase: str, inputs: Inputs) -> Object:
    node = walk.tree.create(
        call.name, kind, phase, holder=call.holder, boundary=call.boundary_id, flag=call.flag
    )
    if document := inputs.document():
        node["inputs"] = document
    return node


def run_suspend(walk: Walk, call: Call, template: Object, inputs: Inputs) -> Object:
    """Wait until a client sets the node to Succeeded, or its duration is over.

    Raises:
        TemplateError: the duration does not parse.
    """
    node = walk.tree.get(call.name)
    if node is None:
        node = _node(walk, call, "Suspend", "Running", inputs)
        _promise_outputs(node, template)
    if not walk.may_run(on_exit=call.on_exit):
        return walk.tree.mark(node, "Failed", f"Stopped with strategy '{walk.shutdown}'")
    if walk.past_deadline and not call.on_exit:
        return walk.tree.mark(node, "Failed", "Step exceeded its deadline")
    scope = inputs.scope.over({**walk.scope, **call.tags})
    if duration := substitute((template["suspend"] or {}).get("duration"), scope):
        end = walk.after(node["startedAt"], duration)
        if walk.now >= end:
            _fill_defaults(node)
            return walk.tree.mark(node, "Succeeded")
        walk.wake(end + timedelta(milliseconds=1))
    return node if fulfilled(node) else walk.tree.mark(node, "Running")


def _promise_outputs(node: Object, template: Object) -> None:
    """Note the outputs that a person is to supply when resuming (addRawOutputFields).

    An output without a default takes that of the input of its name.
    """
    inputs = {p["name"]: p for p in (template.get("inputs") or {}).get("parameters") or ()}
    supplied = []
    for parameter in (template.get("outputs") or {}).get("parameters") or ():
        source = parameter.get("valueFrom") or {}
        if "supplied" not in source:
            continue
        default = source.get("default", inputs.get(parameter["name"], {}).get("default"))
        filled = source if default is None else {**source, "default": default}
        supplied.append({**parameter, "valueFrom": filled})
    if supplied:
        node["outputs"] = {"parameters": supplied}


def _fill_defaults(node: Object) -> None:
    for parameter in (node.get("outputs") or {}).get("parameters") or ():
        default = (parameter.get("valueFrom") or {}).get("default")
        if "value" not in parameter and default is not None:
            parameter["value"] = text(default)
            del parameter["valueFrom"]
