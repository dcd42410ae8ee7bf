"""Commands to runs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_cli.domain.answers import answer_of, step_to_answer
from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.failures import exit_code_of_error
from sluice_cli.domain.filters import Selection
from sluice_cli.domain.state_text import typed
from sluice_cli.domain.tables import Table, items_table
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Client, Session
from sluice_cli.services.following import Follow, follow_to_the_end
from sluice_cli.services.starting import Start, values_of
from sluice_client import RunHandle, Sluice, SluiceError
from sluice_contracts.requests import COMMANDS, CommandType

__all__ = [
    "Command",
    "Rerun",
    "answer_run",
    "command_all",
    "command_runs",
    "command_type",
    "rerun_run",
]

Command = Callable[[RunHandle], Awaitable[str]]
"""Gives a command to a run, and returns where it stands on Kafka."""


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
    client: Client, session: Session, *, run_ids: Sequence[str], name: str, command: Command
) -> ExitCode:
    """Give a command to each run; what fails for one does not stop the others."""
    given: list[dict[str, str]] = []
    code = ExitCode.SUCCESS
    for run_id in run_ids:
        try:
            run = client.run(run_id)
            request = await command(run)
            given.append({"id": run.id, "tenant": run.tenant, "command": name, "request": request})
        except SluiceError as e:
            session.screen.note(f"{run_id}: {e}")
            code = code or exit_code_of_error(e)
    rows = tuple((each["id"], each["command"], each["request"]) for each in given)
    table = Table(headings=("ID", "COMMAND", "RECORD"), rows=rows)
    if given:
        session.screen.results(given, table=table, names=[each["id"] for each in given])
    return code


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
    waiting = step_to_answer((await client.run(run_id).state()).waiting_for, step=step)
    answer = answer_of(waiting, values)

    async def command(run: RunHandle) -> str:
        return await run.resume(waiting.step, answer, reason=reason)

    return await command_runs(client, session, run_ids=[run_id], name="resume", command=command)


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
    if follow is not None:
        graph = entry.graph if entry else None
        return await follow_to_the_end(run, session, follow=follow, graph=graph)
    session.screen.result({"id": run.id, "tenant": run.tenant}, lines=[run.id], name=run.id)
    session.screen.note(f"Accepted. Watch it: {typed('watch', run.id, run.tenant)}")
    return ExitCode.SUCCESS


async def command_all(
    sluice: Sluice,
    session: Session,
    *,
    command: CommandType,
    selection: Selection,
    reason: str | None,
    confirm: Callable[[int], bool],
) -> ExitCode:
    """Give a command to all runs that the filters select, once their number is confirmed.

    Raises:
        CountChangedError: another number of runs is selected by then; nothing was written.
    """
    filters = session.select(selection)
    total = (await sluice.counts(**filters)).total
    if total == 0:
        session.screen.note("No run is selected.")
        return ExitCode.SUCCESS
    if not confirm(total):
        session.screen.note("Nothing was done.")
        return ExitCode.INTERRUPTED
    items = await sluice.command_all(command, expect=total, reason=reason, **filters)
    session.screen.results(items, table=items_table(items), names=[each.id or "" for each in items])
    refused = any(each.problem for each in items)
    return ExitCode.NOT_APPLICABLE if refused else ExitCode.SUCCESS
