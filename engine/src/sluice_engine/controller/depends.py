"""The shape of a DAG: which task depends on which, and on what condition."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

from sluice_engine.controller.errors import TemplateError
from sluice_engine.documents import Json, Object

__all__ = ["RESULTS", "Dag"]

RESULTS: Final = {
    "Succeeded": "Succeeded",
    "Failed": "Failed",
    "Errored": "Error",
    "Skipped": "Skipped",
    "Omitted": "Omitted",
}
"""Results that `depends` knows, and the node phase that each stands for."""
_GROUP_RESULTS: Final = ("AnySucceeded", "AllFailed", "Daemoned")
_NAME: Final = re.compile(r"(?P<task>[A-Za-z0-9][-\w]*)(?P<result>\.[A-Za-z]+)?")


@dataclass(frozen=True, slots=True)
class _Needs:
    tasks: tuple[str, ...]
    logic: str


class Dag:
    """The tasks of a DAG template and what they depend on.

    Raises:
        TemplateError: a dependency is unknown, or tasks depend on each other in a circle.
    """

    def __init__(self, tasks: Iterable[Object]) -> None:
        self.tasks: dict[str, Object] = {str(task["name"]): task for task in tasks}
        self._needs = {name: self._read(task) for name, task in self.tasks.items()}
        self.order = self._order()
        """All tasks, each after its dependencies."""

    def dependencies(self, name: str) -> tuple[str, ...]:
        """Return the dependencies of a task."""
        return self._needs[name].tasks

    def logic(self, name: str) -> str:
        """Return the condition of a task over `task.Result` names; empty if it has none."""
        return self._needs[name].logic

    def leaves(self) -> list[str]:
        """Return the tasks that no other task depends on: the default targets."""
        waited_for = {task for needs in self._needs.values() for task in needs.tasks}
        return sorted(self.tasks.keys() - waited_for)

    def ancestors(self, *names: str) -> set[str]:
        """Return all direct and indirect dependencies of tasks."""
        found: set[str] = set()
        queue = list(names)
        while queue:
            new = set(self.dependencies(queue.pop())) - found
            found |= new
            queue.extend(new)
        return found

    def _read(self, task: Mapping[str, Json]) -> _Needs:
        names: dict[str, None] = {}

        def explicit(found: re.Match[str]) -> str:
            name, result = found["task"], (found["result"] or "")[1:]
            self._check(task, name, result)
            names[name] = None
            return found[0] if result else self._went_well(name)

        logic = task.get("depends") or " && ".join(task.get("dependencies") or ())
        # The names are collected while the logic is rewritten, so in this order.
        rewritten = _NAME.sub(explicit, logic)
        return _Needs(tuple(names), rewritten)

    def _check(self, task: Mapping[str, Json], name: str, result: str) -> None:
        if name not in self.tasks:
            message = f"task '{task['name']}' depends on '{name}', which does not exist"
            raise TemplateError(message)
        if result and result not in RESULTS and result not in _GROUP_RESULTS:
            message = f"task result '{result}' for task '{name}' is invalid"
            raise TemplateError(message)

    def _went_well(self, name: str) -> str:
        """What a bare name stands for; `continueOn` of the task widens it."""
        results = ["Succeeded", "Skipped", "Daemoned"]
        continue_on = self.tasks[name].get("continueOn") or {}
        if continue_on.get("error"):
            results.append("Errored")
        if continue_on.get("failed"):
            results.append("Failed")
        return "(" + " || ".join(f"{name}.{result}" for result in results) + ")"

    def _order(self) -> list[str]:
        waits = {name: needs.tasks for name, needs in self._needs.items()}
        try:
            return list(TopologicalSorter(waits).static_order())
        except CycleError as e:
            message = f"tasks depend on each other in a circle: {', '.join(e.args[1])}"
            raise TemplateError(message) from e
