"""Commands to runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sluice_cli.domain.answers import answer_of, step_to_answer
from sluice_cli.domain.effects import Effect, changes, count_changed, effect_of, rest_of, runs_of
from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.failures import exit_code_of_error
from sluice_cli.domain.filters import Selection
from sluice_cli.domain.tables import Table, items_table
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Client, Session
from sluice_cli.services.following import Follow
from sluice_cli.services.starting import Start, show_start, values_of
from sluice_client import (
    NotApplicableError,
    Run,
    RunHandle,
    Sluice,
    SluiceError,
)
from sluice_contracts.requests import COMMANDS, CommandType

__all__ = [
    "Given",
    "Rerun",
    "answer_run",
    "command_all",
    "command_runs",
    "command_type",
    "rerun_run",
]

_LOOK_S: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Given:
    """A command to runs.

    `give` writes it for one of them, and returns where it stands on Kafka. `restarts` says that a
    retry also runs again what has succeeded.
    """

    type: CommandType
    give: Callable[[RunHandle], Awaitable[str]]
    restarts: bool = False


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """How a new run differs from the one that is run again."""

    parameters: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    read_text: Callable[[str], str] = field(repr=False)


def command_type(text: str) -> CommandType:
    """Return the command.

    Raises:
        UsageError: there is none of this name.
    """
    for each in COMMANDS:
        if each == text:
            return each
    raise UsageError(f"There is no command {text!r}; there are {', '.join(COMMANDS)}.")


async def command_runs(
    client: Client, session: Session, *, run_ids: Sequence[str], command: Given
) -> ExitCode:
    """Give a command to each run; what fails for one does not stop the others.

    Over HTTP, a run that had ended before is named, and is none of the results.
    """
    given: list[dict[str, str]] = []
    code = ExitCode.SUCCESS
    for run_id in run_ids:
        try:
            run = client.run(run_id)
            effect = await _effect(run, command)
            # Even if it can change nothing: a retry may be on its way that is not seen yet.
            request = await _written(run, command, effect)
        except SluiceError as e:
            session.screen.note(f"{run_id}: {e}")
            code = code or exit_code_of_error(e)
            continue
        if effect is not None:
            session.screen.note(effect.text)
        if effect is None or effect.is_done or effect.is_open:
            shown = {"id": run.id, "tenant": run.tenant}
            given.append(shown | {"command": command.type, "request": request})
        else:
            code = code or ExitCode.NOT_APPLICABLE
    rows = tuple((each["id"], each["command"], each["request"]) for each in given)
    table = Table(headings=("ID", "COMMAND", "RECORD"), rows=rows)
    if given:
        session.screen.results(given, table=table, names=[each["id"] for each in given])
    return code


async def _effect(run: RunHandle, command: Given) -> Effect | None:
    """Return what to say of the command; None also if the run cannot be read in a short time."""
    if not isinstance(run, Run):
        # Over Kafka nobody knows the state of a run.
        return None
    try:
        async with asyncio.timeout(_LOOK_S):
            state = await run.state()
    except (SluiceError, TimeoutError):
        # A grant of commands may be none of reading, and commands are taken without a view as well.
        # What else is wrong, the command says.
        return None
    return effect_of(command.type, state, restarts=command.restarts)


async def _written(run: RunHandle, command: Given, effect: Effect | None) -> str:
    """Give the command; return where it stands, or nothing if its effect was there already."""
    try:
        return await command.give(run)
    except NotApplicableError:
        if effect is not None and effect.is_done:
            return ""
        raise


async def answer_run(
    client: Client,
    session: Session,
    *,
    run_id: str,
    step: str | None,
    values: Sequence[str],
    reason: str | None,
) -> ExitCode:
    """Answer a step that waits.

    Raises:
        UsageError: no such step waits, or the answer does not fit.
    """
    if not isinstance(client, Sluice):
        raise UsageError(
            "Only the gateway knows what a run waits for. Over Kafka: sluice resume "
            f"{run_id} --step STEP --value name=value"
        )
    state = await client.run(run_id).state()
    ended = effect_of("resume", state, restarts=False)
    if ended is not None:
        session.screen.note(ended.text)
        return ExitCode.NOT_APPLICABLE
    waiting = step_to_answer(state.waiting_for, step=step)
    answer = answer_of(waiting, values)
    command = Given(type="resume", give=lambda run: run.resume(waiting.step, answer, reason=reason))
    return await command_runs(client, session, run_ids=[run_id], command=command)


async def rerun_run(
    sluice: Sluice, session: Session, *, run_id: str, rerun: Rerun, follow: Follow | None
) -> ExitCode:
    """Start a run with the content of another one, and follow it if that is wanted.

    Raises:
        UsageError: a parameter or its file is wrong.
    """
    old = sluice.run(run_id)
    entry = None
    if rerun.parameters:
        workflow = (await old.state()).workflow
        entry = await sluice.workflow(workflow) if workflow else None
    start = Start(workflow="", parameters=rerun.parameters, options={}, read_text=rerun.read_text)
    values = values_of(start, schema=entry.parameters if entry else None)
    run = await old.rerun(parameters=values, **rerun.options)
    graph = entry.graph if entry else None
    has_id = rerun.options.get("id") is not None
    return await show_start(run, session, has_id=has_id, follow=follow, graph=graph)


async def command_all(
    sluice: Sluice,
    session: Session,
    *,
    command: CommandType,
    selection: Selection,
    reason: str | None,
    confirm: Callable[[str], bool],
) -> ExitCode:
    """Give a command to all runs that the filters select, once their number is confirmed.

    Those that it cannot change, because they have ended, are not counted as commanded.

    Raises:
        CountChangedError: another number of runs is selected by then; nothing was written.
    """
    filters = session.select(selection)
    counted = await sluice.counts(**filters)
    total, live = counted.total, count_changed(command, counted.counts)
    if total == 0:
        session.screen.note("No run is selected.")
        return ExitCode.SUCCESS
    rest = rest_of(command, total - live) if live < total else ""
    if live == 0:
        session.screen.note(f"Nothing is to be done: {rest}.")
        return ExitCode.SUCCESS
    if not confirm(f"{command} {runs_of(live)}{f' ({rest})' if rest else ''}?"):
        session.screen.note("Nothing was done.")
        return ExitCode.INTERRUPTED
    items = await sluice.command_all(command, expect=total, reason=reason, **filters)
    changed = [each for each in items if changes(command, each)]
    names = [each.id or "" for each in changed if each.problem is None]
    session.screen.results(items, table=items_table(items, command=command), names=names)
    if len(changed) < len(items):
        rest = rest_of(command, len(items) - len(changed))
        session.screen.note(f"{command} was given to {runs_of(len(names))}; {rest}.")
    refused = any(each.problem for each in changed)
    return ExitCode.NOT_APPLICABLE if refused else ExitCode.SUCCESS
