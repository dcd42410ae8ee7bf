"""Commands to runs."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

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
    ParametersOption,
    PriorityOption,
    ReasonOption,
    RunArgument,
    RunsArgument,
    StepOption,
    TimeoutOption,
    WaitOption,
    WatchOption,
)
from sluice_cli.commands.runs import chosen_follow, expires_at
from sluice_cli.domain.usage import UsageError
from sluice_cli.invocation import Invocation, shared_options

if TYPE_CHECKING:
    from sluice_cli.services.commanding import Given

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("stop", stop),
        ("terminate", terminate),
        ("suspend", suspend),
        ("resume", resume),
        ("approve", approve),
        ("retry", retry),
        ("rerun", rerun),
        ("command-all", command_all),
    ):
        app.command(name)(function)


@shared_options
def stop(invocation: Invocation, *, run_ids: RunsArgument, reason: ReasonOption = None) -> None:
    """Stop runs; their exit handlers run."""
    from sluice_cli.services.commanding import Given

    _command(invocation, run_ids, Given(type="stop", give=lambda run: run.stop(reason=reason)))


@shared_options
def terminate(
    invocation: Invocation, *, run_ids: RunsArgument, reason: ReasonOption = None
) -> None:
    """Terminate runs at once."""
    from sluice_cli.services.commanding import Given

    command = Given(type="terminate", give=lambda run: run.terminate(reason=reason))
    _command(invocation, run_ids, command)


@shared_options
def suspend(invocation: Invocation, *, run_ids: RunsArgument, reason: ReasonOption = None) -> None:
    """Start no further steps of runs."""
    from sluice_cli.services.commanding import Given

    command = Given(type="suspend", give=lambda run: run.suspend(reason=reason))
    _command(invocation, run_ids, command)


@shared_options
def resume(
    invocation: Invocation,
    *,
    run_ids: RunsArgument,
    step: StepOption = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="NAME=VALUE", help="Answer to the step; needs --step."),
    ] = None,
    reason: ReasonOption = None,
) -> None:
    """Let suspended runs go on, or one suspended step.

    `approve` finds the step that waits, and checks the answer.
    """
    from sluice_cli.services.commanding import Given

    if value and step is None:
        raise UsageError("--value needs --step: the answer is one step's.")
    values = _values(value or [])
    command = Given(type="resume", give=lambda run: run.resume(step, values, reason=reason))
    _command(invocation, run_ids, command)


@shared_options
def approve(
    invocation: Invocation,
    *,
    run_id: RunArgument,
    value: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="The answer; without it, the defaults."),
    ] = None,
    step: StepOption = None,
    reason: ReasonOption = None,
) -> None:
    """Answer the step of RUN that waits, and let it go on."""
    from sluice_cli.services.commanding import answer_run
    from sluice_cli.session import with_client

    with_client(
        invocation,
        partial(answer_run, run_id=run_id, step=step, values=value or [], reason=reason),
    )


@shared_options
def retry(
    invocation: Invocation,
    *,
    run_ids: RunsArgument,
    step: StepOption = None,
    restart_succeeded: Annotated[
        bool, typer.Option("--restart-succeeded", help="Run again what has succeeded, too.")
    ] = False,
    reason: ReasonOption = None,
) -> None:
    """Run again what did not succeed, or --step and all that follows it."""
    from sluice_cli.services.commanding import Given

    command = Given(
        type="retry",
        give=lambda run: run.retry(step, restart_succeeded=restart_succeeded, reason=reason),
        restarts=restart_succeeded or step is not None,
    )
    _command(invocation, run_ids, command)


@shared_options
def rerun(
    invocation: Invocation,
    *,
    run_id: RunArgument,
    parameter: ParametersOption = None,
    id_: IdOption = None,
    label: LabelsOption = None,
    priority: PriorityOption = None,
    expires_in: ExpiresOption = None,
    watch: WatchOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Start a new run with the parameters of RUN, but for those that are given."""
    from sluice_cli.adapters.files import read_text
    from sluice_cli.domain.filters import labels_of
    from sluice_cli.services.commanding import Rerun, rerun_run
    from sluice_cli.session import with_gateway

    options = {
        "id": id_,
        "labels": labels_of(label or []),
        "priority": priority,
        "expires_at": expires_at(expires_in),
    }
    again = Rerun(parameters=parameter or [], options=options, read_text=read_text)
    follow = chosen_follow(invocation, watch=watch, wait=wait, timeout=timeout)
    with_gateway(invocation, partial(rerun_run, run_id=run_id, rerun=again, follow=follow))


@shared_options
def command_all(
    invocation: Invocation,
    *,
    command: Annotated[
        str, typer.Argument(metavar="COMMAND", help="stop, terminate, suspend, resume or retry.")
    ],
    workflow: FilterWorkflow = None,
    phase: FilterPhases = None,
    label: FilterLabels = None,
    since: FilterSince = None,
    until: FilterUntil = None,
    text: FilterText = None,
    reason: ReasonOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Give COMMAND to all runs that the filters select, once their number is confirmed.

    Nothing is done if another number of them is selected by then.
    """
    from sluice_cli.domain.filters import Selection
    from sluice_cli.services.commanding import command_all as give_to_all
    from sluice_cli.services.commanding import command_type
    from sluice_cli.session import with_gateway

    selection = Selection(
        workflow=workflow,
        phases=phase or (),
        labels=label or (),
        since=since,
        until=until,
        text=text,
    )

    def confirm(question: str) -> bool:
        try:
            return yes or typer.confirm(question, err=True)
        except typer.Abort:
            raise UsageError("There is no answer: add --yes to do it without a question.") from None

    with_gateway(
        invocation,
        partial(
            give_to_all,
            command=command_type(command),
            selection=selection,
            reason=reason,
            confirm=confirm,
        ),
    )


def _command(invocation: Invocation, run_ids: list[str], command: "Given") -> None:
    from sluice_cli.services.commanding import command_runs
    from sluice_cli.session import with_client

    with_client(invocation, partial(command_runs, run_ids=run_ids, command=command))


def _values(texts: list[str]) -> dict[str, str]:
    values = dict(each.partition("=")[::2] for each in texts)
    if not all("=" in each for each in texts):
        raise UsageError("An answer must be like name=value.")
    return values
