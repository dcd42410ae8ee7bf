"""The planned graph of a Workflow's spec; pure, and prepared for any YAML."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sluice_contracts.graphs import PlannedGraph, PlannedStep, StepKind

__all__ = ["MAX_DEPENDENCIES", "MAX_DEPTH", "MAX_STEPS", "planned_graph"]

MAX_STEPS: Final = 256
MAX_DEPENDENCIES: Final = 2048
MAX_DEPTH: Final = 8
"""Bounds of a graph: it is part of an answer, and people look at it."""

_KINDS: Final[Mapping[str, StepKind]] = {
    "container": "Pod",
    "script": "Pod",
    "containerSet": "Pod",
    "resource": "Pod",
    "data": "Pod",
    "steps": "Steps",
    "dag": "DAG",
    "suspend": "Suspend",
    "http": "HTTP",
    "plugin": "Plugin",
}
_LOOPS: Final = ("withItems", "withParam", "withSequence")
# `a.Succeeded && (b || !c.AnySucceeded)`: a task, perhaps with a condition on its result.
_DEPENDENCY: Final = re.compile(r"([A-Za-z0-9_-]+)(?:\.[A-Za-z]+)?")
_EXIT: Final = "exit"

Json = Mapping[str, Any]


def planned_graph(spec: Json) -> PlannedGraph | None:
    """Return the graph of the `spec` of a Workflow or WorkflowTemplate.

    A DAG or list of steps at the top is left out, as in a run's events. None if the spec does not
    contain the template where it starts.
    """
    plan = _Plan(
        {
            name: template
            for template in _maps(spec.get("templates"))
            if (name := _text(template.get("name"))) is not None
        }
    )
    entrypoint = _text(spec.get("entrypoint"))
    template = plan.templates.get(entrypoint or "")
    if entrypoint is None or template is None:
        return None
    inside = list(_calls(template))
    if not inside and _kind(template) in ("DAG", "Steps"):
        return None
    # A run of a single step has no step around it.
    top = inside or [_Call(entrypoint, {"template": entrypoint})]
    ends = _ends(top)
    hooks = [replace(hook, after=ends) for hook in _hooks(spec, prefix="")]
    plan.add([*top, *hooks], boundary=None, ancestors=(entrypoint,) if inside else ())
    return plan.graph()


@dataclass(frozen=True)
class _Call:
    """A step or task as a template writes it."""

    name: str
    body: Json
    after: tuple[str, ...] = ()
    conditional: bool = False
    exit_handler: bool = False


@dataclass
class _Plan:
    """Collects steps level by level, so that a bound leaves out the deepest."""

    templates: Mapping[str, Json]
    steps: dict[str, PlannedStep] = field(default_factory=dict)
    dependencies: int = 0
    truncated: bool = False

    def add(self, calls: list[_Call], *, boundary: str | None, ancestors: tuple[str, ...]) -> None:
        """Add these calls and all within them."""
        waiting = deque([(calls, boundary, ancestors)])
        while waiting:
            calls, boundary, ancestors = waiting.popleft()
            for call in calls:
                step, template = self._step(call, boundary=boundary)
                if step.id in self.steps:
                    # Argo refuses two steps of one name.
                    continue
                if not self._has_room(step):
                    self.truncated = True
                    return
                self.steps[step.id] = step
                self.dependencies += len(step.depends_on)
                inside = list(_calls(template))
                if not inside:
                    continue
                if step.template in ancestors or len(ancestors) >= MAX_DEPTH:
                    self.truncated = True
                else:
                    # What is written inline cannot contain itself, but has a depth.
                    waiting.append((inside, step.id, (*ancestors, step.template or "")))

    def graph(self) -> PlannedGraph:
        """Return what was added; nothing depends on a step that was left out."""
        return PlannedGraph(
            steps=tuple(
                step.model_copy(
                    update={
                        "depends_on": tuple(id_ for id_ in step.depends_on if id_ in self.steps)
                    }
                )
                for step in self.steps.values()
            ),
            truncated=self.truncated,
        )

    def _step(self, call: _Call, *, boundary: str | None) -> tuple[PlannedStep, Json]:
        body = call.body
        inline, elsewhere = _map(body.get("inline")), _map(body.get("templateRef"))
        name = _text(body.get("template")) or _text(elsewhere.get("template"))
        template = inline or ({} if elsewhere else self.templates.get(name or "", {}))
        prefix = "" if boundary is None else f"{boundary}/"
        step = PlannedStep(
            id=prefix + call.name,
            name=call.name,
            template=name,
            kind=_kind(template),
            depends_on=tuple(prefix + before for before in call.after),
            boundary=boundary,
            repeated=any(loop in body for loop in _LOOPS),
            conditional=call.conditional or "when" in body,
            exit_handler=call.exit_handler,
        )
        return step, template

    def _has_room(self, step: PlannedStep) -> bool:
        return (
            len(self.steps) < MAX_STEPS
            and self.dependencies + len(step.depends_on) <= MAX_DEPENDENCIES
        )


def _calls(template: Json) -> Iterator[_Call]:
    """Yield the steps or tasks of a template, with their hooks."""
    before: tuple[str, ...] = ()
    for line in _list(template.get("steps")):
        # A line may also be a single step, for versions before 2.0.
        together = [
            _Call(name, step, after=before)
            for step in _maps(line if isinstance(line, list) else [line])
            if (name := _text(step.get("name"))) is not None
        ]
        for call in together:
            yield call
            yield from _hooks(call.body, prefix=f"{call.name}.", after=(call.name,))
        before = tuple(call.name for call in together) or before
    yield from _tasks(_map(template.get("dag")))


def _tasks(dag: Json) -> Iterator[_Call]:
    tasks = {
        name: task
        for task in _maps(dag.get("tasks"))
        if (name := _text(task.get("name"))) is not None
    }
    before = {name: _dependencies(task, tasks) for name, task in tasks.items()}
    targets = (_text(dag.get("target")) or "").split()
    needed = set(tasks) if not targets or "{{" in "".join(targets) else _with_all(targets, before)
    for name, task in tasks.items():
        if name in needed:
            yield _Call(name, task, after=before[name])
            yield from _hooks(task, prefix=f"{name}.", after=(name,))


def _dependencies(task: Json, tasks: Mapping[str, Json]) -> tuple[str, ...]:
    listed = [name for name in _list(task.get("dependencies")) if isinstance(name, str)]
    listed += _DEPENDENCY.findall(_text(task.get("depends")) or "")
    return tuple(dict.fromkeys(name for name in listed if name in tasks))


def _with_all(targets: list[str], before: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Return the targets with all that they wait for."""
    needed: set[str] = set()
    waiting = [target for target in targets if target in before]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += before[name]
    return needed


def _hooks(holder: Json, *, prefix: str, after: tuple[str, ...] = ()) -> Iterator[_Call]:
    """Yield exit handlers and other hooks under the names that Argo gives their nodes.

    https://argo-workflows.readthedocs.io/en/latest/lifecyclehook/
    """
    hooks = _map(holder.get("hooks"))
    on_exit = _map(hooks.get(_EXIT))
    if not on_exit and (template := _text(holder.get("onExit"))) is not None:
        on_exit = {"template": template}
    if on_exit:
        yield _Call(
            f"{prefix}onExit",
            on_exit,
            after=after,
            conditional="expression" in on_exit,
            exit_handler=True,
        )
    for name, hook in hooks.items():
        if name != _EXIT and isinstance(name, str):
            yield _Call(f"{prefix}hooks.{name}", _map(hook), after=after, conditional=True)


def _ends(calls: list[_Call]) -> tuple[str, ...]:
    """Return the names of those that no other waits for."""
    awaited = {name for call in calls for name in call.after}
    return tuple(call.name for call in calls if call.name not in awaited)


def _kind(template: Json) -> StepKind | None:
    return next((kind for field_, kind in _KINDS.items() if field_ in template), None)


def _maps(value: object) -> Iterator[Json]:
    return (item for item in _list(value) if isinstance(item, dict))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
