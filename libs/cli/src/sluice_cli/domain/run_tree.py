"""The steps of a run as a tree, in which the copies of a step are one line."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sluice_cli.domain.moments import duration
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.status import StatusEvent
from sluice_contracts.steps import Step, StepGroup

__all__ = ["CONTAINERS", "RunTree", "TreeLine", "base_name", "began"]

# What a person reads, by Argo's phases of nodes.
_WORDS: Final = {
    "Succeeded": "done",
    "Running": "running",
    "Pending": "waiting",
    "Failed": "failed",
    "Error": "failed",
    "Skipped": "skipped",
    "Omitted": "skipped",
}
_SUSPENDED: Final = "suspended"
_PLANNED: Final = "planned"
# In a line of copies, and for the state of the whole line: what is most urgent comes first.
_URGENT: Final = ("failed", _SUSPENDED, "running", "waiting", "done", "skipped", _PLANNED)
_SHOWN: Final = ("done", "running", _SUSPENDED, "waiting", "failed", "skipped")
CONTAINERS: Final = frozenset({"Steps", "StepGroup", "DAG", "TaskGroup", "Retry"})
"""Argo's types of nodes that run nothing but what they contain."""

_Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TreeLine:
    """A line of the tree: one step, or all copies of one.

    `path` has the names from the top, `word` is the state in one word, and `is_group` says whether
    the line stands for several copies.
    """

    path: _Path
    word: str
    detail: str
    is_group: bool = False

    @property
    def name(self) -> str:
        """The name of the step, without the numbers of copies."""
        return self.path[-1]

    def __str__(self) -> str:
        """Return it as plain text."""
        return f"{'  ' * (len(self.path) - 1)}{self.name}{self.detail}"


@dataclass
class _Node:
    steps: list[Step] = field(default_factory=list)
    planned: bool = False


class RunTree:
    """The newest state of each step, from the events of a run.

    `graph` are the steps that a run of the workflow may have, if they are known: they are shown
    before they begin.
    """

    def __init__(self, graph: PlannedGraph | None = None) -> None:
        self._planned: tuple[_Path, ...] = (
            () if graph is None else tuple(tuple(each.id.split("/")) for each in graph.steps)
        )
        self._steps: dict[str, Step] = {}
        self._groups: dict[str, StepGroup] = {}
        self._over = False

    def apply(self, state: StatusEvent) -> None:
        """Take over what an event, or a whole state, says of the steps."""
        self._over = state.terminal
        if state.terminal and not state.truncated:
            # It has all of them; those of an attempt before are gone.
            self._steps.clear()
            self._groups.clear()
        self._steps |= {each.id: each for each in state.steps}
        self._groups |= {each.id: each for each in state.groups}

    def lines(self, *, now: datetime) -> list[TreeLine]:
        """Return the tree, from the top."""
        nodes = self._nodes()
        shown = {
            path for path, node in nodes.items() if node.steps or (node.planned and not self._over)
        }
        # What is inside of something is shown below its name.
        around = {path[:end] for path in shown for end in range(1, len(path))}
        return [
            _header(path) if path in around else _line(path, nodes[path], now=now)
            for path in _ordered(nodes)
            if path in shown or path in around
        ]

    def counts(self) -> str:
        """Return how many steps are in which state, as in `3 done, 1 running`."""
        steps = [each for each in self._steps.values() if each.type not in CONTAINERS]
        return _counted(steps)

    def _nodes(self) -> dict[_Path, _Node]:
        paths: dict[str, _Path] = {}
        nodes: dict[_Path, _Node] = {path: _Node(planned=True) for path in self._planned}
        for step in sorted(self._steps.values(), key=began):
            node = nodes.setdefault(self._path(step.id, paths), _Node())
            if step.type not in CONTAINERS:
                node.steps.append(step)
        return nodes

    def _path(self, step_id: str, known: dict[str, _Path]) -> _Path:
        """Return the names from the top, without the numbers of copies."""
        if step_id in known:
            return known[step_id]
        # What contains itself has no place.
        known[step_id] = ()
        found = self._steps.get(step_id) or self._groups.get(step_id)
        if found is None:
            return ()
        around = self._path(found.boundary, known) if found.boundary else ()
        known[step_id] = (*around, base_name(found.name))
        return known[step_id]


def began(step: Step) -> tuple[bool, float]:
    """Return what sorts steps by their begin; those that wait come last."""
    begun = step.started_at is not None
    return not begun, step.started_at.timestamp() if step.started_at else 0.0


def base_name(name: str) -> str:
    """Return the name of a step without the number of a copy: `count` of `count(0:a)`."""
    head, bracket, _ = name.partition("(")
    return head if bracket and head else name


def _ordered(paths: Iterable[_Path]) -> Iterator[_Path]:
    """Yield the paths and all above them, each before what is inside of it."""
    # A dictionary keeps the order, and has each once.
    inside: dict[_Path, dict[_Path, None]] = {}
    for path in paths:
        for end in range(1, len(path) + 1):
            inside.setdefault(path[: end - 1], {})[path[:end]] = None

    def below(path: _Path) -> Iterator[_Path]:
        for each in inside.get(path, {}):
            yield each
            yield from below(each)

    return below(())


def _header(path: _Path) -> TreeLine:
    return TreeLine(path=path, word=_PLANNED, detail="")


def _line(path: _Path, node: _Node, *, now: datetime) -> TreeLine:
    words = [_word(each) for each in node.steps] or [_PLANNED]
    word = min(words, key=_URGENT.index)
    if len(node.steps) > 1:
        detail = f" x{len(node.steps)}: {_counted(node.steps)}"
    else:
        message = node.steps[0].message if node.steps and word == "failed" else None
        spent = _spent(node.steps, now=now)
        detail = f"  {word}{f' {spent}' if spent else ''}{f': {message}' if message else ''}"
    return TreeLine(path=path, word=word, detail=detail, is_group=len(node.steps) > 1)


def _counted(steps: Iterable[Step]) -> str:
    counts = Counter(_word(each) for each in steps)
    return ", ".join(f"{counts[word]} {word}" for word in _SHOWN if counts[word])


def _word(step: Step) -> str:
    if step.type == "Suspend" and step.phase == "Running":
        return _SUSPENDED
    return _WORDS.get(step.phase, "waiting")


def _spent(steps: list[Step], *, now: datetime) -> str:
    if not steps or steps[0].started_at is None:
        return ""
    return duration((steps[0].finished_at or now) - steps[0].started_at)
