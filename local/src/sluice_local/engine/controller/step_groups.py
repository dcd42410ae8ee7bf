"""`steps`: groups one after the other, the steps of a group side by side."""

from sluice_local.engine.controller.errors import TemplateError, WaitingError
from sluice_local.engine.controller.expressions import evaluate_when
from sluice_local.engine.controller.fanout import expand, is_fan
from sluice_local.engine.controller.inputs import Inputs, outputs_from, resolve_arguments
from sluice_local.engine.controller.nodes import fulfilled, unsuccessful
from sluice_local.engine.controller.scope import LocalScope
from sluice_local.engine.controller.substitution import Scope, substitute
from sluice_local.engine.controller.walk import Boundary, Call, Walk
from sluice_local.engine.documents import Object

__all__ = ["add_defaults", "continues_on", "run_steps"]


def continues_on(step: Object, node: Object) -> bool:
    """Tell whether a step's `continueOn` accepts how it ended."""
    accepted = step.get("continueOn") or {}
    wanted = {"Failed": accepted.get("failed"), "Error": accepted.get("error")}
    return bool(wanted.get(node["phase"]))


def run_steps(walk: Walk, call: Call, template: Object, inputs: Inputs) -> Object:
    """Bring a Steps node one step further.

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
        """Return what the next group hangs on; a group without steps stands for itself."""
        tree = self._walk.tree
        children = tree.children(group)
        ends = {end["id"]: end for child in children for end in tree.outbound(child)}
        return list(ends.values()) or [group]

    def _run_group(self, group: Object, steps: list[Object]) -> None:
        tree = self._walk.tree
        children = [
            (step, self._run_step(group, step, name, tags))
            for step in steps
            for name, tags in self._expanded(group, step)
        ]
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

    def _expanded(self, group: Object, step: Object) -> list[tuple[str, dict[str, str]]]:
        if not is_fan(step):
            return [(step["name"], {})]
        scope = self._local.over({**self._walk.scope, **self._call.tags})
        try:
            # What will not be done need not make sense.
            when = step.get("when")
            if when and "{{item" not in when and not evaluate_when(substitute(when, scope)):
                return [(step["name"], {})]
            return expand(step, scope)
        except TemplateError as e:
            self._refuse(group, step, step["name"], e)
            return [(step["name"], {})]

    def _refuse(self, group: Object, step: Object, name: str, error: TemplateError) -> Object:
        full_name = f"{group['name']}.{name}"
        self._walk.tree.link(group, full_name)
        return self._walk.tree.refuse(full_name, str(error), holder=step, boundary=self._node["id"])

    def _run_step(
        self, group: Object, step: Object, name: str, tags: dict[str, str]
    ) -> Object | None:
        """Bring one step further; None if a limit holds it back."""
        walk, full_name = self._walk, f"{group['name']}.{name}"
        child = walk.tree.get(full_name)
        if child is not None and fulfilled(child):
            return child
        scope = self._local.over({**walk.scope, **self._call.tags, **tags})
        when = step.get("when")
        try:
            if child is None and when and not evaluate_when(condition := substitute(when, scope)):
                walk.tree.link(group, full_name)
                return walk.tree.create(
                    full_name,
                    "Skipped",
                    "Skipped",
                    holder=step,
                    boundary=self._node["id"],
                    message=f"when '{condition}' evaluated false",
                )
            child = walk.execute(walk, self._step_call(step, full_name, scope))
        except WaitingError:
            child = walk.tree.get(full_name)
        except TemplateError as e:
            return self._refuse(group, step, name, e)
        if child is not None:
            walk.tree.link(group, full_name)
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
    """Add what a skipped step or task would have given, as far as its template is known."""
    try:
        template, _ = call.context.resolve(holder)
    except TemplateError:
        return
    local.add_skipped(prefix, template)
