"""Starts runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.parameters import STDIN, read_parameter, value_of
from sluice_cli.domain.state_text import earlier_line, typed
from sluice_cli.domain.usage import UsageError
from sluice_cli.ports import Client, Session
from sluice_cli.services.following import Follow, follow_to_the_end
from sluice_client import NotFoundError, Run, RunHandle, Sluice, StartOptions
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.http_documents import WorkflowWithGraph

__all__ = ["Start", "show_start", "start_run", "values_of"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is started: `parameters` as they were typed, and a function that reads their files."""

    workflow: str
    parameters: Sequence[str]
    options: StartOptions
    read_text: Callable[[str], str] = field(repr=False)


async def start_run(
    client: Client, session: Session, *, start: Start, follow: Follow | None
) -> ExitCode:
    """Start a run, and follow it if that is wanted.

    Raises:
        UsageError: a parameter or its file is wrong.
        SluiceError: the run was not started.
    """
    entry = await _entry(client, start.workflow)
    parameters = values_of(start, schema=entry.parameters if entry else None)
    run = await client.start(start.workflow, parameters, **start.options)
    graph = entry.graph if entry else None
    has_id = start.options.get("id") is not None
    return await show_start(run, session, has_id=has_id, follow=follow, graph=graph)


async def show_start(
    run: RunHandle,
    session: Session,
    *,
    has_id: bool,
    follow: Follow | None,
    graph: PlannedGraph | None,
) -> ExitCode:
    """Say that the run was accepted or existed, and follow it if that is wanted.

    Without an id of the person's own (`has_id`) it is new: only a repetition by the client itself
    can have found it.
    """
    earlier = run if has_id and isinstance(run, Run) and run.existed else None
    if follow is not None:
        if earlier is not None:
            session.screen.note(earlier_line(run.id, run.tenant, found=earlier.found))
        return await follow_to_the_end(run, session, follow=follow, graph=graph)
    session.screen.result({"id": run.id, "tenant": run.tenant}, lines=[run.id], name=run.id)
    if earlier is not None:
        session.screen.note(earlier_line(run.id, run.tenant, found=earlier.found))
    else:
        session.screen.note(f"Accepted. Watch it: {typed('watch', run.id, run.tenant)}")
    return ExitCode.SUCCESS


def values_of(start: Start, *, schema: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    """Return the values of the parameters.

    Raises:
        UsageError: one is wrong, or there twice.
    """
    values: dict[str, JsonValue] = {}
    given = [read_parameter(each) for each in start.parameters]
    if sum(each.file == STDIN for each in given) > 1:
        raise UsageError("Standard input can be only one parameter's: there is @- twice.")
    for each in given:
        if each.name in values:
            raise UsageError(f"/parameters/{each.name}: it is there twice.")
        try:
            text = each.text if each.file is None else start.read_text(each.file)
        except (OSError, UnicodeDecodeError) as e:
            why = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
            raise UsageError(f"/parameters/{each.name}: {each.file}: {why}.") from None
        values[each.name] = value_of(each, text, schema=schema)
    return values


async def _entry(client: Client, workflow: str) -> WorkflowWithGraph | None:
    """Return the entry of the catalogue; without a gateway, or without the entry, None."""
    if not isinstance(client, Sluice):
        return None
    try:
        return await client.workflow(workflow)
    except NotFoundError:
        # The start gets a better answer: what there is, or what is not granted.
        return None
