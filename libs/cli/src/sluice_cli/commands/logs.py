"""Shows the logs of steps."""

from functools import partial
from typing import Annotated, Final

import typer

from sluice_cli.commands.completing import step_names
from sluice_cli.commands.options import RunArgument
from sluice_cli.invocation import Invocation, shared_options

__all__ = ["add_to"]

_MOST_LINES: Final = 1_000_000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("logs")(logs)


@shared_options
def logs(
    invocation: Invocation,
    *,
    run_id: RunArgument,
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="STEP",
            help="Id or name of a step; without it, all that run pods.",
            autocompletion=step_names,
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Also what is still to come, until the steps end."),
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=_MOST_LINES, help="Only the last N lines of each step."
        ),
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Begin each line with when it was written.")
    ] = False,
) -> None:
    """Show what STEP of RUN has written; without STEP, what all have, each line behind a name.

    With -o ndjson each line is a JSON object.
    """
    from sluice_cli.services.log_reading import LogPart
    from sluice_cli.services.logs import show_logs
    from sluice_cli.session import with_gateway

    part = LogPart(tail=tail, follow=follow, times=timestamps)
    with_gateway(
        invocation,
        partial(show_logs, run_id=run_id, step=step, part=part),
        refusal="Logs of steps need the gateway: give its address with --url, without --kafka.",
    )
