"""`dag`: tasks that start as soon as what they depend on is done."""

from collections.abc import Iterable

from sluice_engine.controller.depends import RESULTS, Dag
from sluice_engine.controller.errors import TemplateError, WaitingError
from sluice_engine.controller.expand import NO_ITEMS, expand, expand_unwanted, is_fan
from sluice_engine.controller.expressions import evaluate_depends, evaluate_when
from sluice_engine.controller.inputs import Inputs, outputs_from, resolve_arguments
from sluice_engine.controller.nodes import completed, fulfilled, unsuccessful
from sluice_engine.controller.scope import LocalScope
from sluice_engine.controller.steps import add_defaults, continues_on
from sluice_engine.controller.substitution import Scope, substitute
from sluice_engine.controller.walk import Boundary, Call, Walk
from sluice_engine.documents import Object

__all__ = ["run_dag"]


def run_dag(walk: Walk, call: Call, template: Object, inputs: Inputs) -> Object:
    """Reconcile a DAG node once.

    Raises:
        TemplateError: the tasks are not a DAG, or the outputs refer to nothing.
    """
    tree = walk.tree
    dag = Dag(template["dag"].get("tasks") or ())
    node = tree.get(call.name)
    if node is None:
        node = tree.create(
            call.name,
            "DAG",
            "Running",
            holder=call.holder,
            boundary=call.boundary_id,
            flag=call.flag,
        )
        if document := inputs.document():
            node["inputs"] = document
    target = substitute(template["dag"].get("target"), inputs.scope.over(walk.scope))
    targets = target.split() if target else dag.leaves()
    if missing := [name for name in targets if name not in dag.tasks]:
        message = f"dag.target '{missing[0]}' does not exist"
        raise TemplateError(message)
    tasks = _Tasks(walk, call, template, inputs, node, dag)
    tasks.visit(targets)
    stopped = not walk.may_run(on_exit=call.on_exit)
    phase = "Failed" if stopped else tasks.phase(targets)
    if phase == "Running":
        return node
    tree.set_outbound(node, [n for n in map(tasks.node, targets) if n is not None])
    if phase == "Succeeded":
        tasks.take_outputs()
    return tree.mark(node, phase)


class _Tasks:
    def __init__(
        self,
        walk: Walk,
        call: Call,
        template: Object,
        inputs: Inputs,
        node: Object,
        dag: Dag,
    ) -> None:
        self._walk = walk
        self._call = call
        self._template = template
        self._inputs = inputs
        self._node = node
        self._dag = dag

    def node(self, task: str) -> Object | None:
        return self._walk.tree.get(self._name(task))

    def _name(self, task: str) -> str:
        return f"{self._node['name']}.{task}"

    def visit(self, targets: Iterable[str]) -> None:
        """Reconcile the targets, and before them all that they depend on."""
        wanted = {*targets, *self._dag.ancestors(*targets)}
        for name in self._dag.order:
            if name in wanted:
                self._bring_further(name)

    def _bring_further(self, name: str) -> None:
        node, task = self.node(name), self._dag.tasks[name]
        if node is not None and fulfilled(node):
            return
        try:
            if node is None and not self._is_due(name, task):
                return
            self._run(name, task)
        except TemplateError as e:
            if node is None:
                self._leave_out(name, task, "Error", str(e))
            else:
                self._walk.tree.mark(node, "Error", str(e))

    def _is_due(self, name: str, task: Object) -> bool:
        """Return whether a task's dependencies are done and its condition holds; else omit it."""
        logic = self._dag.logic(name)
        results: dict[str, bool] = {}
        for dependency in self._dag.dependencies(name):
            node = self.node(dependency)
            if node is None or not fulfilled(node):
                return False
            results |= self._results(dependency, node)
        if not logic or evaluate_depends(logic, results):
            return True
        self._leave_out(name, task, "Omitted", "omitted: depends condition not met")
        return False

    def _results(self, task: str, node: Object) -> dict[str, bool]:
        results = {f"{task}.{result}": node["phase"] == p for result, p in RESULTS.items()}
        phases = (
            [child["phase"] for child in self._walk.tree.children(node)]
            if node["type"] == "TaskGroup"
            else []
        )
        results[f"{task}.AnySucceeded"] = "Succeeded" in phases
        results[f"{task}.AllFailed"] = bool(phases) and set(phases) == {"Failed"}
        results[f"{task}.Daemoned"] = False
        return results

    def _leave_out(self, name: str, task: Object, phase: str, message: str) -> None:
        self._walk.tree.create(
            self._name(name),
            "Skipped",
            phase,
            holder=task,
            boundary=self._node["id"],
            message=message,
        )
        self._connect(name, self._name(name))

    def _connect(self, task: str, child: str) -> None:
        """Make a node a child of the outbound nodes of its task's dependencies."""
        tree = self._walk.tree
        parents = [n for n in map(self.node, self._dag.dependencies(task)) if n is not None]
        for parent in [end for n in parents for end in tree.outbound(n)] or [self._node]:
            tree.link(parent, child)

    def _local(self, names: Iterable[str]) -> LocalScope:
        local = self._inputs.scope.copy()
        local.add_workflow_artifacts(self._walk.workflow["status"].get("outputs"))
        for name in names:
            node, prefix = self.node(name), f"tasks.{name}"
            if node is None:
                continue
            if node["type"] == "TaskGroup":
                local.add_group(prefix, self._walk.tree.children(node))
            local.add_node(prefix, node, self._walk.tree)
            if node["phase"] in {"Skipped", "Omitted"}:
                add_defaults(local, prefix, self._call, self._dag.tasks[name])
        return local

    def _run(self, name: str, task: Object) -> None:
        local = self._local(self._dag.ancestors(name))
        scope = local.over({**self._walk.scope, **self._call.tags})
        if not is_fan(task):
            self._run_task(name, name, task, local, scope)
            return
        group = self.node(name)
        wanted = group is not None or self._may_be_wanted(task, scope)
        items = expand(task, scope) if wanted else expand_unwanted(task, scope)
        if not items:
            self._leave_out(name, task, "Skipped", NO_ITEMS)
            return
        tree = self._walk.tree
        if group is None:
            full_name = self._name(name)
            group = tree.create(
                full_name, "TaskGroup", "Running", holder=task, boundary=self._node["id"]
            )
            self._connect(name, full_name)
        children = [
            self._run_task(name, one, task, local, {**scope, **tags}, group) for one, tags in items
        ]
        if all(child is not None and fulfilled(child) for child in children):
            bad = [child["phase"] for child in children if child and unsuccessful(child)]
            tree.mark(group, bad[-1] if bad else "Succeeded")

    def _may_be_wanted(self, task: Object, scope: Scope) -> bool:
        when = task.get("when")
        return not when or "{{item" in when or evaluate_when(substitute(when, scope))

    def _run_task(
        self,
        task_name: str,
        name: str,
        task: Object,
        local: LocalScope,
        scope: Scope,
        group: Object | None = None,
    ) -> Object | None:
        """Reconcile one task, or one item of it; None if a limit holds it back."""
        walk, full_name = self._walk, self._name(name)
        node = walk.tree.get(full_name)
        if node is not None and fulfilled(node):
            return node
        try:
            node = self._execute(full_name, task, local, scope)
        except WaitingError:
            node = walk.tree.get(full_name)
        except TemplateError as e:
            boundary = self._node["id"]
            node = walk.tree.refuse(full_name, str(e), holder=task, boundary=boundary)
        if node is not None and group is not None:
            walk.tree.link(group, full_name)
        elif node is not None:
            self._connect(task_name, full_name)
        return node

    def _execute(self, full_name: str, task: Object, local: LocalScope, scope: Scope) -> Object:
        when, walk = task.get("when"), self._walk
        new = walk.tree.get(full_name) is None
        if new and when and not evaluate_when(condition := substitute(when, scope)):
            return walk.tree.create(
                full_name,
                "Skipped",
                "Skipped",
                holder=task,
                boundary=self._node["id"],
                message=f"when '{condition}' evaluated false",
            )
        call = Call(
            name=full_name,
            holder=substitute(
                {key: task.get(key) for key in ("name", "template", "templateRef")}, scope
            ),
            context=self._call.context,
            arguments=resolve_arguments(task.get("arguments"), local, scope),
            boundary=Boundary(self._node["id"], self._template),
            on_exit=self._call.on_exit,
        )
        return walk.execute(walk, call)

    def phase(self, targets: list[str]) -> str:
        """Return the phase of the whole DAG.

        A target that was left out counts as the tasks that it depends on: bad if one of them was.
        """
        if any(not fulfilled(node) for node in self._inside()):
            return "Running"
        fail_fast = self._template["dag"].get("failFast") is not False
        result, branches = "Succeeded", self._branches()
        for name in targets:
            phase = branches[name]
            if phase is None:
                result = "Running"
                if not fail_fast:
                    break
            elif phase in {"Failed", "Error"}:
                if continues_on(self._dag.tasks[name], {"phase": phase}):
                    continue
                result = phase
                if fail_fast:
                    break
        return result

    def _inside(self) -> list[Object]:
        nodes = self._walk.tree.nodes.values()
        return [n for n in nodes if n.get("boundaryID") == self._node["id"]]

    def _branches(self) -> dict[str, str | None]:
        """Return the phase of every task; of an omitted one, the worst of its dependencies."""
        branches: dict[str, str | None] = {}
        for name in self._dag.order:
            node = self.node(name)
            before = [branches[dependency] for dependency in self._dag.dependencies(name)]
            bad = next((phase for phase in before if phase in {"Failed", "Error"}), "Succeeded")
            if node is None:
                branches[name] = None
            else:
                branches[name] = node["phase"] if completed(node) else bad
        return branches

    def take_outputs(self) -> None:
        """Set the outputs of the DAG from those of its tasks."""
        outputs = outputs_from(self._template, self._local(self._dag.tasks))
        if outputs:
            self._node["outputs"] = outputs
