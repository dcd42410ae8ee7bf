"""Reads runs and the catalogue."""

import asyncio
from typing import Final

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.filters import Selection
from sluice_cli.domain.run_tree import RunTree
from sluice_cli.domain.state_text import output_text, state_lines
from sluice_cli.domain.tables import (
    parameters_table,
    plain_lines,
    queue_table,
    runs_table,
    workflows_table,
)
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Session
from sluice_cli.services.following import graph_of
from sluice_client import NotFoundError, Phase, RunFilters, Sluice
from sluice_contracts.http_documents import RunDocument
from sluice_contracts.http_lists import RunSummaryDocument

__all__ = ["list_runs", "show_outputs", "show_queue", "show_status", "show_workflows"]

_LARGEST_PAGE: Final = 500
_AT_ONCE: Final = 8


async def show_status(sluice: Sluice, session: Session, *, run_id: str) -> ExitCode:
    """Show the latest state of a run, with its steps."""
    state = await sluice.run(run_id).state()
    now = session.screen.now()
    # The plan has the order of the steps.
    tree = RunTree(await graph_of(sluice, state.workflow))
    tree.apply(state)
    lines = [*state_lines(state, now=now), *(f"  {each}" for each in tree.lines(now=now))]
    session.screen.result(state, lines=lines, name=state.id)
    return ExitCode.SUCCESS


async def list_runs(
    sluice: Sluice, session: Session, *, selection: Selection, limit: int
) -> ExitCode:
    """List runs, newest first."""
    runs = await _runs(sluice, filters=session.select(selection), limit=limit)
    table = runs_table(runs, now=session.screen.now())
    session.screen.results(runs, table=table, names=[each.id for each in runs])
    if len(runs) == limit:
        session.screen.note(f"These are the newest {limit}; --limit shows more.")
    return ExitCode.SUCCESS


async def show_outputs(
    sluice: Sluice, session: Session, *, run_id: str, name: str | None
) -> ExitCode:
    """Show the outputs of a run, or one of them as it is.

    Raises:
        UsageError: there is no output of this name.
    """
    outputs = (await sluice.run(run_id).state()).outputs
    if name is None:
        lines = [f"{each} = {output_text(value)}" for each, value in outputs.items()]
        session.screen.result(outputs, lines=lines, name="\n".join(outputs))
        return ExitCode.SUCCESS
    if name not in outputs:
        known = ", ".join(outputs) or "none"
        raise UsageError(f"Run {run_id!r} has no output {name!r}; it has {known}.")
    text = output_text(outputs[name])
    session.screen.result({name: outputs[name]}, lines=[text], name=text)
    return ExitCode.SUCCESS


async def show_workflows(sluice: Sluice, session: Session, *, name: str | None) -> ExitCode:
    """Show the catalogue, or one entry with its parameters."""
    if name is None:
        entries = await sluice.workflows()
        names = [each.name for each in entries]
        session.screen.results(entries, table=workflows_table(entries), names=names)
        return ExitCode.SUCCESS
    entry = await sluice.workflow(name)
    lines = [entry.description, "", *plain_lines(parameters_table(entry))]
    session.screen.result(entry, lines=lines, name=entry.name)
    return ExitCode.SUCCESS


async def show_queue(
    sluice: Sluice, session: Session, *, selection: Selection, limit: int
) -> ExitCode:
    """Show the runs that wait, oldest first, and for what."""
    waiting: RunFilters = {**session.select(selection), "phases": [Phase.ACCEPTED]}
    total = (await sluice.counts(**waiting)).total
    runs = await _runs(sluice, filters=waiting, limit=limit)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def state_of(summary: RunSummaryDocument) -> RunDocument | None:
        async with gate:
            try:
                return await sluice.run(summary.id, tenant=summary.tenant).state()
            except NotFoundError:
                return None

    found = await asyncio.gather(*map(state_of, runs))
    # Some may have started meanwhile.
    states = [each for each in reversed(found) if each and each.phase is Phase.ACCEPTED]
    table = queue_table(states, now=session.screen.now())
    session.screen.results(states, table=table, names=[each.id for each in states])
    if total > len(runs):
        session.screen.note(f"{total} runs wait; these are the newest {len(runs)}.")
    return ExitCode.SUCCESS


async def _runs(sluice: Sluice, *, filters: RunFilters, limit: int) -> list[RunSummaryDocument]:
    found: list[RunSummaryDocument] = []
    pages = sluice.runs(page_size=min(limit, _LARGEST_PAGE), **filters)
    try:
        async for each in pages:
            found.append(each)
            if len(found) == limit:
                break
    finally:
        await pages.aclose()
    return found
