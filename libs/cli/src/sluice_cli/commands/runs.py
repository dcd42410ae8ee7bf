"""Starts runs and reads them."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sluice_cli.commands.completing import workflow_names
from sluice_cli.commands.options import (
    ExpiresOption,
    FilterLabels,
    FilterPhases,
    FilterSince,
    FilterText,
    FilterUntil,
    FilterWorkflow,
    IdOption,
    LabelsOption,
    LimitOption,
    ParametersOption,
    PriorityOption,
    RunArgument,
    TimeoutOption,
    WaitOption,
    WatchOption,
    WorkflowArgument,
)
from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.formats import Format
from sluice_cli.domain.moments import seconds
from sluice_cli.domain.usage import UsageError
from sluice_cli.invocation import Invocation, shared_options

if TYPE_CHECKING:
    from sluice_cli.services.following import Follow

__all__ = ["add_to", "chosen_follow", "expires_at"]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("run", run),
        ("watch", watch),
        ("status", status),
        ("outputs", outputs),
        ("list", list_),
        ("queue", queue),
        ("workflows", workflows),
        ("tail", tail),
        ("open", open_),
    ):
        app.command(name)(function)


@shared_options
def run(
    invocation: Invocation,
    *,
    workflow: WorkflowArgument,
    parameter: ParametersOption = None,
    id_: IdOption = None,
    label: LabelsOption = None,
    priority: PriorityOption = None,
    expires_in: ExpiresOption = None,
    watch_: WatchOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Start a run of WORKFLOW.

    Parameters have the types of the workflow's schema. With --watch or --wait the exit code says
    how the run has ended.
    """
    from sluice_cli.adapters.files import read_text
    from sluice_cli.domain.filters import labels_of
    from sluice_cli.services.starting import Start, start_run
    from sluice_cli.session import with_client

    start = Start(
        workflow=workflow,
        parameters=parameter or [],
        options={
            "id": id_,
            "labels": labels_of(label or []),
            "priority": priority or "normal",
            "expires_at": expires_at(expires_in),
        },
        read_text=read_text,
    )
    follow = chosen_follow(invocation, watch=watch_, wait=wait, timeout=timeout)
    with_client(invocation, partial(start_run, start=start, follow=follow))


@shared_options
def watch(invocation: Invocation, *, run_id: RunArgument, timeout: TimeoutOption = None) -> None:
    """Show the steps of RUN until it is over; the exit code says how it has ended.

    With -o ndjson each event is a line.
    """
    from sluice_cli.services.following import watch_run
    from sluice_cli.session import with_client

    follow = chosen_follow(invocation, watch=True, wait=False, timeout=timeout)
    if follow is not None:
        with_client(invocation, partial(watch_run, run_id=run_id, follow=follow))


@shared_options
def status(invocation: Invocation, *, run_id: RunArgument) -> None:
    """Show the latest state of RUN, with its steps."""
    from sluice_cli.services.reading import show_status
    from sluice_cli.session import with_gateway

    with_gateway(invocation, partial(show_status, run_id=run_id))


@shared_options
def outputs(
    invocation: Invocation,
    *,
    run_id: RunArgument,
    name: Annotated[
        str | None, typer.Argument(metavar="OUTPUT", help="Only this one, as it is.")
    ] = None,
) -> None:
    """Show the outputs of RUN."""
    from sluice_cli.services.reading import show_outputs
    from sluice_cli.session import with_gateway

    with_gateway(invocation, partial(show_outputs, run_id=run_id, name=name))


@shared_options
def list_(
    invocation: Invocation,
    *,
    workflow: FilterWorkflow = None,
    phase: FilterPhases = None,
    label: FilterLabels = None,
    since: FilterSince = None,
    until: FilterUntil = None,
    text: FilterText = None,
    limit: LimitOption = 50,
) -> None:
    """List runs, newest first. All filters have to hold."""
    from sluice_cli.domain.filters import Selection
    from sluice_cli.services.reading import list_runs
    from sluice_cli.session import with_gateway

    selection = Selection(
        workflow=workflow,
        phases=phase or (),
        labels=label or (),
        since=since,
        until=until,
        text=text,
    )
    with_gateway(invocation, partial(list_runs, selection=selection, limit=limit))


@shared_options
def queue(
    invocation: Invocation, *, workflow: FilterWorkflow = None, limit: LimitOption = 50
) -> None:
    """List the runs that wait for their start, and what holds them."""
    from sluice_cli.domain.filters import Selection
    from sluice_cli.services.reading import show_queue
    from sluice_cli.session import with_gateway

    selection = Selection(workflow=workflow)
    with_gateway(invocation, partial(show_queue, selection=selection, limit=limit))


@shared_options
def workflows(
    invocation: Invocation,
    *,
    workflow: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW",
            help="Only this one, with its parameters.",
            autocompletion=workflow_names,
        ),
    ] = None,
) -> None:
    """List the workflows that can be run."""
    from sluice_cli.services.reading import show_workflows
    from sluice_cli.session import with_gateway

    with_gateway(invocation, partial(show_workflows, name=workflow))


@shared_options
def tail(
    invocation: Invocation,
    *,
    workflow: FilterWorkflow = None,
    phase: FilterPhases = None,
    label: FilterLabels = None,
    text: FilterText = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Go on behind this place; -o ndjson shows places."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-c", min=1, help="End after so many events.")
    ] = None,
) -> None:
    """Show the events of all runs as they happen, until Ctrl-C."""
    from sluice_cli.domain.filters import Selection
    from sluice_cli.services.tailing import tail_events
    from sluice_cli.session import with_client

    selection = Selection(workflow=workflow, phases=phase or (), labels=label or (), text=text)
    with_client(invocation, partial(tail_events, selection=selection, after=after, count=count))


@shared_options
def open_(
    invocation: Invocation,
    *,
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run; without it, the list of runs.")
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the address, and open nothing.")
    ] = False,
) -> None:
    """Print the address of the dashboard's page of RUN, and open it in a browser."""
    from sluice_cli.services.opening import open_page
    from sluice_cli.session import Session, Tools, carry_out

    async def opened(session: Session, tools: Tools) -> ExitCode:
        open_address = None if print_only else tools.open_page
        return await open_page(session, run_id=run_id, open_address=open_address)

    carry_out(invocation, opened)


def chosen_follow(
    invocation: Invocation, *, watch: bool, wait: bool, timeout: str | None
) -> "Follow | None":
    """Return how the run is followed; None if it is not.

    Raises:
        UsageError: the options exclude each other.
    """
    from sluice_cli.services.following import Follow, How

    if not (watch or wait):
        if timeout is not None:
            raise UsageError("--timeout needs --watch or --wait.")
        return None
    if watch and wait:
        raise UsageError("--watch and --wait exclude each other.")
    streams = watch and invocation.output is Format.NDJSON
    how = How.EVENTS if streams else How.STEPS if watch else How.NOTHING
    return Follow(how=how, timeout=None if timeout is None else seconds(timeout))


def expires_at(span: str | None) -> datetime | None:
    """Return the time after which a run must not start.

    Raises:
        UsageError: it is not a time span.
    """
    return None if span is None else datetime.now(UTC) + timedelta(seconds=seconds(span))
