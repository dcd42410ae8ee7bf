"""`sluice doctor`: looks for what is wrong."""

from typing import Annotated

import typer

from sluice_cli.commands.completing import workflow_names
from sluice_cli.domain.moments import seconds
from sluice_cli.invocation import Invocation, shared_options

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


@shared_options
def doctor(
    invocation: Invocation,
    *,
    canary: Annotated[
        bool, typer.Option("--canary/--no-canary", help="Start a run, and time its way.")
    ] = True,
    workflow: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The workflow of that run.", autocompletion=workflow_names
        ),
    ] = "hello",
    timeout: Annotated[
        str, typer.Option(metavar="SPAN", help="How long that run may take.")
    ] = "60s",
    health: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Also ask the gateway's /readyz, at its health port."),
    ] = None,
) -> None:
    """Look at settings, gateway, identity and, with --kafka, brokers; then start a canary run.

    The log of a step of that run is read as well, if logs are set up.
    Each check says what is so, and what to do if it is wrong. The exit code is 1 if one is wrong.
    """
    from sluice_cli.services.doctor import Canary
    from sluice_cli.session import examined

    span = seconds(timeout)
    examined(
        invocation,
        health=health,
        canary=Canary(workflow=workflow, timeout=span) if canary else None,
    )
