"""Controls of workflows and tenants, named as the operations of the HTTP API."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sluice_cli.commands.completing import workflow_names
from sluice_cli.commands.options import ReasonOption
from sluice_cli.invocation import Invocation, shared_options

if TYPE_CHECKING:
    from sluice_cli.services.controlling import Verb

__all__ = ["add_to"]

_Workflow = Annotated[
    str,
    typer.Argument(metavar="WORKFLOW", help="The workflow.", autocompletion=workflow_names),
]
_Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("controls", show),
        ("pause-workflow", pause_workflow),
        ("drain-workflow", drain_workflow),
        ("resume-workflow", resume_workflow),
        ("pause-tenant", pause_tenant),
        ("drain-tenant", drain_tenant),
        ("resume-tenant", resume_tenant),
    ):
        app.command(name)(function)


@shared_options
def show(invocation: Invocation) -> None:
    """List what is paused or drained, why, and by whom."""
    from sluice_cli.services.controlling import show_controls
    from sluice_cli.session import with_gateway

    with_gateway(invocation, show_controls)


@shared_options
def pause_workflow(
    invocation: Invocation, *, workflow: _Workflow, reason: ReasonOption = None
) -> None:
    """Start no more runs of WORKFLOW; live runs go on."""
    _control(invocation, "pause", workflow=workflow, reason=reason)


@shared_options
def drain_workflow(
    invocation: Invocation, *, workflow: _Workflow, reason: ReasonOption = None
) -> None:
    """Pause WORKFLOW, and say that you wait until its live runs are over."""
    _control(invocation, "drain", workflow=workflow, reason=reason)


@shared_options
def resume_workflow(
    invocation: Invocation, *, workflow: _Workflow, reason: ReasonOption = None
) -> None:
    """Start again what waits of WORKFLOW."""
    _control(invocation, "resume", workflow=workflow, reason=reason)


@shared_options
def pause_tenant(invocation: Invocation, *, name: _Tenant, reason: ReasonOption = None) -> None:
    """Start no more runs of TENANT; live runs go on."""
    _control(invocation, "pause", tenant=name, reason=reason)


@shared_options
def drain_tenant(invocation: Invocation, *, name: _Tenant, reason: ReasonOption = None) -> None:
    """Pause TENANT, and say that you wait until its live runs are over."""
    _control(invocation, "drain", tenant=name, reason=reason)


@shared_options
def resume_tenant(invocation: Invocation, *, name: _Tenant, reason: ReasonOption = None) -> None:
    """Start again what waits of TENANT."""
    _control(invocation, "resume", tenant=name, reason=reason)


def _control(
    invocation: Invocation,
    verb: "Verb",
    *,
    workflow: str | None = None,
    tenant: str | None = None,
    reason: str | None,
) -> None:
    from sluice_cli.services.controlling import control
    from sluice_cli.session import with_gateway

    with_gateway(
        invocation, partial(control, verb=verb, workflow=workflow, tenant=tenant, reason=reason)
    )
