"""`steps`: groups one after the other, the steps of a group side by side."""

from dataclasses import dataclass

from sluice_engine.controller.errors import TemplateError, WaitingError
from sluice_engine.controller.expand import NO_ITEMS, expand, expand_unwanted, is_fan
from sluice_engine.controller.expressions import evaluate_when
from sluice_engine.controller.inputs import Inputs, outputs_from, resolve_arguments
from sluice_engine.controller.nodes import fulfilled, unsuccessful
from sluice_engine.controller.scope import LocalScope
from sluice_engine.controller.substitution import Scope, substitute
from sluice_engine.controller.walk import Boundary, Call, Walk
from sluice_engine.documents import Object

__all__ = ["add_defaults", "continues_on", "run_steps"]


def continues_on(step: Object, node: Object) -> bool:
    """Return whether a step's `continueOn` accepts its phase."""
    accepted = step.get("continueOn") or {}
    wanted = {"Failed": accepted.get("failed"), "Error": accepted.get("error")}
    return bool(wanted.get(node["phase"]))


def run_steps(walk: Walk, call: Call, template: Object, inputs: Inputs) -> Object:
    """Reconcile a Steps node once.

    Raises:
        TemplateError: its outputs refer to nothing.
    """
    tree = walk.tree
    node = tree.get(call.name)
    if node is None:
        node = tree.create(
            call.name,
            "Steps",
            "Running",
            holder=call.holder,
            boundary=call.boundary_id,
            flag=call.flag,
        )
        if document := inputs.document():
            node["inputs"] = document
    return _Steps(walk, call, template, inputs, node).run()


@dataclass(frozen=True, slots=True)
class _Plan:
    """One node of a group: its call, or why there is none; neither once it is done."""

    full_name: str
    call: Call | None = None
    skipped: str = ""


class _Steps:
    def __init__(
        self, walk: Walk, call: Call, template: Object, inputs: Inputs, node: Object
    ) -> None:
        self._walk = walk
        self._call = call
        self._template = template
        self._node = node
        self._local = inputs.scope.copy()
        self._local.add_workflow_artifacts(walk.workflow["status"].get("outputs"))

    def run(self) -> Object:
        tree, node = self._walk.tree, self._node
        before: list[Object] = [node]
        for index, steps in enumerate(self._template["steps"]):
            group = self._group(index, before)
            if not fulfilled(group):
                self._run_group(group, steps)
            if not fulfilled(group):
                return node
            before = self._ends(group)
            if unsuccessful(group):
                tree.set_outbound(node, tree.children(group))
                return tree.mark(node, "Failed", str(group.get("message") or ""))
            for step in steps:
                self._remember(group, step)
        tree.set_outbound(node, before if before != [node] else [])
        outputs = outputs_from(self._template, self._local)
        if outputs:
            node["outputs"] = outputs
            self._walk.export(outputs)
        return tree.mark(node, "Succeeded")

    def _group(self, index: int, before: list[Object]) -> Object:
        tree, name = self._walk.tree, f"{self._node['name']}[{index}]"
        group = tree.get(name)
        if group is None:
            group = tree.create(name, "StepGroup", "Running", holder={}, boundary=self._node["id"])
        for end in before:
            tree.link(end, name)
        return group

    def _ends(self, group: Object) -> list[Object]:
        """Return the parents of the next group; a group without steps is its own."""
        tree = self._walk.tree
        children = tree.children(group)
        ends = {end["id"]: end for child in children for end in tree.outbound(child)}
        return list(ends.values()) or [group]

    def _run_group(self, group: Object, steps: list[Object]) -> None:
        tree = self._walk.tree
        try:
            # Check all steps of a group before starting any.
            planned = [(step, plan) for step in steps for plan in self._plans(group, step)]
        except TemplateError as e:
            tree.mark(group, "Error", str(e))
            return
        children = [(step, self._run_step(group, step, plan)) for step, plan in planned]
        if not all(child is not None and fulfilled(child) for _, child in children):
            return
        for step, child in children:
            if child is None or not unsuccessful(child) or continues_on(step, child):
                continue
            if child["type"] == "Skipped":
                message = f"step group deemed errored due to child {child['name']} error: "
                tree.mark(group, "Error", message + child["message"])
            else:
                tree.mark(group, "Failed", f"child '{child['id']}' failed")
            return
        tree.mark(group, "Succeeded")

    def _plans(self, group: Object, step: Object) -> list[_Plan]:
        """Return the calls of a step: several, if it has items.

        Raises:
            TemplateError: it refers to nothing, or its items or its condition make no sense.
        """
        scope = self._local.over({**self._walk.scope, **self._call.tags})
        when = step.get("when")
        if not is_fan(step):
            return [self._plan(step, f"{group['name']}.{step['name']}", scope)]
        if when and "{{item" not in when and not evaluate_when(substitute(when, scope)):
            expanded = expand_unwanted(step, scope)
        else:
            expanded = expand(step, scope)
        if not expanded:
            return [_Plan(f"{group['name']}.{step['name']}", skipped=NO_ITEMS)]
        return [
            self._plan(step, f"{group['name']}.{name}", {**scope, **tags})
            for name, tags in expanded
        ]

    def _plan(self, step: Object, full_name: str, scope: Scope) -> _Plan:
        node, when = self._walk.tree.get(full_name), step.get("when")
        if node is not None and fulfilled(node):
            return _Plan(full_name)
        try:
            if node is None and when and not evaluate_when(condition := substitute(when, scope)):
                return _Plan(full_name, skipped=f"when '{condition}' evaluated false")
            return _Plan(full_name, call=self._step_call(step, full_name, scope))
        except TemplateError as e:
            message = f"failed to resolve references: {e}"
            raise TemplateError(message) from e

    def _run_step(self, group: Object, step: Object, plan: _Plan) -> Object | None:
        """Reconcile one step; None if a limit holds it back."""
        walk = self._walk
        child = walk.tree.get(plan.full_name)
        if child is not None and fulfilled(child):
            return child
        if plan.call is None:
            walk.tree.link(group, plan.full_name)
            return walk.tree.create(
                plan.full_name,
                "Skipped",
                "Skipped",
                holder=step,
                boundary=self._node["id"],
                message=plan.skipped,
            )
        try:
            child = walk.execute(walk, plan.call)
        except WaitingError:
            child = walk.tree.get(plan.full_name)
        if child is not None:
            walk.tree.link(group, plan.full_name)
        return child

    def _step_call(self, step: Object, full_name: str, scope: Scope) -> Call:
        return Call(
            name=full_name,
            holder=substitute({k: step.get(k) for k in ("name", "template", "templateRef")}, scope),
            context=self._call.context,
            arguments=resolve_arguments(step.get("arguments"), self._local, scope),
            boundary=Boundary(self._node["id"], self._template),
            on_exit=self._call.on_exit,
        )

    def _remember(self, group: Object, step: Object) -> None:
        """Let later groups refer to a step that is done."""
        tree, prefix = self._walk.tree, f"steps.{step['name']}"
        name = f"{group['name']}.{step['name']}"
        child = tree.get(name)
        if child is None:
            children = [
                node
                for node in tree.children(group)
                if node["name"].startswith(f"{name}(") and node["type"] != "Skipped"
            ]
            self._local.add_group(prefix, children)
            self._local.values[f"{prefix}.status"] = group["phase"]
            return
        self._local.add_node(prefix, child, tree)
        if child["phase"] in {"Skipped", "Omitted"}:
            add_defaults(self._local, prefix, self._call, step)


def add_defaults(local: LocalScope, prefix: str, call: Call, holder: Object) -> None:
    """Add the outputs of a skipped step or task, as far as its template is known."""
    try:
        template, _ = call.context.resolve(holder)
    except TemplateError:
        return
    local.add_skipped(prefix, template)
