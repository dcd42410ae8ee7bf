"""What a command can do to a run, by the state in which the run was seen before.

The dispatcher decides that when it reads the command. A person who commands a run that has ended
should hear of it at once all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sluice_contracts.http_lists import ItemDocument
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import CommandType
from sluice_contracts.status import Phase, StatusEvent

__all__ = ["Effect", "changes", "count_changed", "effect_of", "rest_of", "runs_of"]

_ENDING: Final = frozenset({"stop", "terminate"})
_FAILED: Final = frozenset({Phase.FAILED, Phase.ERROR})


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What is to be said of a command.

    `is_done` says that its effect was there already, `is_open` that it may have one all the same.
    """

    text: str
    is_done: bool = False
    is_open: bool = False


def effect_of(command: CommandType, state: StatusEvent, *, restarts: bool) -> Effect | None:
    """Return what to say of the command in this state, None if it simply has its effect.

    `restarts` says that a retry also runs again what has succeeded.
    """
    if _may_change(command, state.phase):
        return None
    run, ended = f"Run {state.run_id!r}", f"had already ended as {state.phase}"
    if command == "retry" and not state.terminal:
        # The dispatcher lets a retry wait for an outcome that is on its way.
        text = f"{run} is {state.phase}; the retry counts only if the run ends within seconds."
        return Effect(text=text, is_open=True)
    if command == "retry" and state.phase is Phase.SUCCEEDED:
        if restarts:
            return None
        return Effect(
            text=f"{run} {ended}; nothing was changed. To run it again, add --step or "
            "--restart-succeeded."
        )
    last = state.last_command
    if command in _ENDING and last is not None and last.type == command:
        return Effect(text=f"{run} {ended}, by {command}.", is_done=True)
    return Effect(text=f"{run} {ended}; nothing was changed.")


def changes(command: CommandType, item: ItemDocument) -> bool:
    """Return whether the command may change the run of this item of many."""
    if item.problem is not None:
        # There is no Workflow: the run was never one, or is none any more.
        return item.problem.type is not ProblemType.NOT_APPLICABLE
    return item.phase is None or _may_change(command, item.phase)


def count_changed(command: CommandType, counts: Mapping[Phase, int]) -> int:
    """Return how many of the runs, which are counted by phase, the command may change."""
    return sum(number for phase, number in counts.items() if _may_change(command, phase))


def rest_of(command: CommandType, number: int) -> str:
    """Say of so many runs why the command does not change them."""
    return f"{number} {'had not failed' if command == 'retry' else 'had ended already'}"


def runs_of(number: int) -> str:
    """Return the number with its noun."""
    return f"{number} run{'' if number == 1 else 's'}"


def _may_change(command: CommandType, phase: Phase) -> bool:
    return phase in _FAILED if command == "retry" else not phase.terminal
