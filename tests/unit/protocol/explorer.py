"""Explores every state of a model, and finds the shortest path to a wrong one.

Breadth first, so a counterexample is as short as can be; exhaustive, so there is none if none is
found. A model is a start, the steps out of a state, and what is wrong with a state.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Explored", "explore"]

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What was found: how much there is, and the shortest way to what is wrong."""

    states: int
    depth: int
    """Steps to the state that is farthest from the start."""
    steps: frozenset[str]
    """The names of all steps that were ever taken."""
    wrong: str | None
    """None: no state is."""
    trace: tuple[str, ...]
    """The steps that lead there."""

    def __str__(self) -> str:
        """Return a summary for the output of a test."""
        found = f"{self.states} states, {self.depth} steps deep"
        if self.wrong is None:
            return f"{found}: nothing is wrong"
        steps = "".join(f"\n  {number}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{found}: {self.wrong} after {len(self.trace)} steps:{steps}"


def explore(
    start: S,
    steps: Callable[[S], Iterable[tuple[str, S]]],
    *,
    wrong: Callable[[S], str | None],
) -> Explored:
    """Go everywhere from the start, or to the nearest state with which something is wrong."""
    came_by: dict[S, tuple[str, S] | None] = {start: None}
    depths = {start: 0}
    taken: set[str] = set()
    waiting = deque([start])
    depth = 0
    while waiting:
        state = waiting.popleft()
        depth = depths.pop(state)
        if (what := wrong(state)) is not None:
            trace = _trace(state, came_by)
            return _explored(came_by, depth=depth, taken=taken, wrong=what, trace=trace)
        for name, after in steps(state):
            taken.add(name)
            if after not in came_by:
                came_by[after] = (name, state)
                depths[after] = depth + 1
                waiting.append(after)
    return _explored(came_by, depth=depth, taken=taken, wrong=None, trace=())


def _explored(
    came_by: dict[S, tuple[str, S] | None],
    *,
    depth: int,
    taken: set[str],
    wrong: str | None,
    trace: tuple[str, ...],
) -> Explored:
    return Explored(
        states=len(came_by), depth=depth, steps=frozenset(taken), wrong=wrong, trace=trace
    )


def _trace(state: S, came_by: dict[S, tuple[str, S] | None]) -> tuple[str, ...]:
    steps: list[str] = []
    while (before := came_by[state]) is not None:
        name, state = before
        steps.append(name)
    return tuple(reversed(steps))
