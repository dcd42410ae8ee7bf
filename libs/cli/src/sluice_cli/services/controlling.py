"""Pauses, drains and resumes workflows and tenants."""

from typing import Literal, TypeAlias

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.tables import controls_table
from sluice_cli.ports import Session
from sluice_client import Sluice

__all__ = ["Verb", "control", "show_controls"]

Verb: TypeAlias = Literal["pause", "drain", "resume"]


async def show_controls(sluice: Sluice, session: Session) -> ExitCode:
    """Show what is paused or drained."""
    controls = await sluice.controls()
    table = controls_table(controls, now=session.screen.now())
    session.screen.results(controls, table=table, names=[f"{e.kind}/{e.name}" for e in controls])
    return ExitCode.SUCCESS


async def control(
    sluice: Sluice,
    session: Session,
    *,
    verb: Verb,
    workflow: str | None = None,
    tenant: str | None = None,
    reason: str | None,
) -> ExitCode:
    """Pause, drain or resume a workflow or a tenant."""
    controls = {"pause": sluice.pause, "drain": sluice.drain, "resume": sluice.resume}
    accepted = await controls[verb](workflow=workflow, tenant=tenant, reason=reason)
    line = f"{accepted.kind} {accepted.name}: {accepted.state}"
    session.screen.result(accepted, lines=[line], name=f"{accepted.kind}/{accepted.name}")
    return ExitCode.SUCCESS
