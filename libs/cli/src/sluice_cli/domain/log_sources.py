"""The steps of a run whose logs are read: their order, their names, and why others have none."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sluice_cli.domain.run_tree import CONTAINERS, began
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.status import StatusEvent
from sluice_contracts.steps import Step, StepGroup

__all__ = ["LogSource", "StepsOfRun", "plans_one_pod", "unknown_source"]

_POD: Final = "Pod"
_RETRY: Final = "Retry"
_NOT_RUN: Final = frozenset({"Skipped", "Omitted"})
_PENDING: Final = "Pending"
_RUNNING: Final = "Running"
_SUCCEEDED: Final = "Succeeded"
_FAILED: Final = frozenset({"Failed", "Error"})
# Shells take these as they are; others, as in `count(0)`, they would have to quote.
_PLAIN: Final = re.compile(r"[\w.@%+-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class LogSource:
    """A step that runs a pod, or has run one.

    `step` is its id. `shown` is what to type for it, on one line: its name, or the id if others
    have the name. `phase` is None if nothing is known of the step yet.
    """

    step: str
    name: str
    shown: str
    phase: str | None = None

    @property
    def argument(self) -> str:
        """What to type for it in a shell without quotes: `shown`, or the id."""
        return self.shown if _PLAIN.fullmatch(self.shown) else self.step

    @property
    def has_started(self) -> bool:
        """Whether it has a log, which may be empty."""
        return self.phase != _PENDING

    def why_empty(self, *, followed: bool) -> str:
        """Return why it has no line."""
        if followed:
            return "It has written nothing."
        if not self.has_started:
            return "It has not started, so its log is empty; --follow waits for it."
        return f"It has written nothing{' yet' if self.phase == _RUNNING else ''}."


class StepsOfRun:
    """The newest state of each step, from the events of a run."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._groups: dict[str, StepGroup] = {}
        self._names: Counter[str] = Counter()

    def apply(self, state: StatusEvent) -> list[LogSource]:
        """Take over the steps of an event, or of a whole state, and return those that run pods.

        They are in the order of their start.
        """
        for each in state.steps:
            self._names[each.name] += each.id not in self._steps
            self._steps[each.id] = each
        for group in state.groups:
            self._names[group.name] += group.id not in self._groups
            self._groups[group.id] = group
        return self._sources(state.steps)

    def sources(self) -> list[LogSource]:
        """Return all steps that run pods, in the order of their start."""
        return self._sources(self._steps.values())

    def first_failed(self) -> LogSource | None:
        """Return the step that failed first in a pod; None if there is none.

        What a retry has made good is not meant, nor what is inside of a step that has succeeded.
        """
        done = [each for each in self._steps.values() if each.phase == _SUCCEEDED]
        good = {each.id for each in done}
        good.update(child for each in done if each.type == _RETRY for child in each.children)
        failed = [
            each
            for each in self._steps.values()
            if each.type == _POD and each.phase in _FAILED and good.isdisjoint(self._around(each))
        ]
        return self._source(min(failed, key=_ended)) if failed else None

    def find(self, step: str) -> LogSource | None:
        """Return the step of this id or name, whatever it runs; None if there is none yet."""
        known: list[Step | StepGroup] = [*self._steps.values(), *self._groups.values()]
        found = [each for each in known if each.id == step]
        found = found or [each for each in known if each.name == step]
        if len(found) == 1:
            return self._source(found[0])
        # The gateway says what to do about a name that several have.
        return unknown_source(step) if found else None

    def without_logs(self) -> list[tuple[str, str]]:
        """Return the steps that run no pod, and why; not those that contain others."""
        return [
            (self._source(each).shown, reason)
            for each in sorted(self._steps.values(), key=began)
            if (reason := _why_none(each))
        ]

    def _around(self, step: Step) -> set[str]:
        """Return the ids of the step and of those that it is inside of."""
        found: set[str] = set()
        inner: Step | None = step
        # What contains itself has no end.
        while inner is not None and inner.id not in found:
            found.add(inner.id)
            inner = self._steps.get(inner.boundary) if inner.boundary else None
        return found

    def _sources(self, steps: Iterable[Step]) -> list[LogSource]:
        return [
            self._source(each)
            for each in sorted(steps, key=began)
            if each.type == _POD and each.phase not in _NOT_RUN
        ]

    def _source(self, step: Step | StepGroup) -> LogSource:
        shown = _one_line(step.name if self._names[step.name] == 1 else step.id)
        return LogSource(step=step.id, name=step.name, shown=shown, phase=step.phase)


def unknown_source(step: str) -> LogSource:
    """Return a step that no state shows."""
    return LogSource(step=step, name=step, shown=_one_line(step))


def plans_one_pod(graph: PlannedGraph | None) -> bool:
    """Return whether runs of a workflow have one step alone; it may be tried several times."""
    if graph is None or graph.truncated:
        return False
    working = [each for each in graph.steps if each.kind not in CONTAINERS]
    return len(working) == 1 and working[0].kind == _POD and not working[0].repeated


def _one_line(text: str) -> str:
    """Return a name that is written before lines: it may come from anywhere, and be any text."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _ended(step: Step) -> tuple[bool, float, tuple[bool, float]]:
    """Return what sorts steps by their end, and then by their begin."""
    end = step.finished_at
    return end is None, end.timestamp() if end else 0.0, began(step)


def _why_none(step: Step) -> str | None:
    if step.phase in _NOT_RUN:
        return f"It was not run ({step.phase})."
    if step.type == _POD or step.type in CONTAINERS:
        return None
    return f"It runs no pod ({step.type})."
