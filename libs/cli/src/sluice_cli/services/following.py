"""Follows runs to their end."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.failures import exit_code_of_phase
from sluice_cli.domain.log_sources import StepsOfRun
from sluice_cli.domain.state_text import typed
from sluice_cli.ports import Client, Session
from sluice_client import (
    Event,
    Run,
    RunHandle,
    Sluice,
    SluiceError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)
from sluice_contracts.graphs import PlannedGraph
from sluice_contracts.status import Phase, StatusEvent

__all__ = ["Follow", "How", "follow_to_the_end", "graph_of", "watch_run"]

_FAILED: Final = frozenset({Phase.FAILED, Phase.ERROR})


class How(StrEnum):
    """What is shown until a run is over."""

    NOTHING = "nothing"
    STEPS = "steps"
    EVENTS = "events"
    """Each event as a result, and no outcome behind them."""


@dataclass(frozen=True, kw_only=True)
class Follow:
    """How a run is followed; for `timeout` seconds, None for no limit."""

    how: How
    timeout: float | None = None


async def watch_run(client: Client, session: Session, *, run_id: str, follow: Follow) -> ExitCode:
    """Follow a run that was started before."""
    run = client.run(run_id)
    graph = None
    if follow.how is How.STEPS:
        graph = await graph_of(client, await _workflow_of(client, run))
    return await follow_to_the_end(run, session, follow=follow, graph=graph)


async def follow_to_the_end(
    run: RunHandle, session: Session, *, follow: Follow, graph: PlannedGraph | None
) -> ExitCode:
    """Follow a run until it is over, and write its outcome; the exit code says which it is.

    Raises:
        WaitTimeoutError: it is not over in time.
        SluiceError: it cannot be followed.
    """
    screen = session.screen
    try:
        match follow.how:
            case How.NOTHING:
                state = (await run.wait(follow.timeout)).state
            case How.STEPS:
                with screen.view(run.id, graph) as view:
                    state = await _last(run, timeout=follow.timeout, show=view.show)
            case How.EVENTS:
                state = await _last(run, timeout=follow.timeout, show=screen.event)
    except asyncio.CancelledError:
        # Ctrl-C ends the command alone.
        screen.note(f"Run {run.id} goes on. Watch it again: {typed('watch', run.id, run.tenant)}")
        raise
    if follow.how is not How.EVENTS:
        screen.outcome(state)
    if follow.how is How.STEPS:
        _say_where_the_reason_is(run, session, state)
    return exit_code_of_phase(state.phase)


def _say_where_the_reason_is(run: RunHandle, session: Session, state: StatusEvent) -> None:
    # Without the gateway there are no logs.
    if state.phase not in _FAILED or not isinstance(run, Run):
        return
    steps = StepsOfRun()
    steps.apply(state)
    failed = steps.first_failed()
    if failed is not None:
        command = typed("logs", run.id, run.tenant, step=failed.argument)
        session.screen.hint(f"Read why: {command}")


async def _last(
    run: RunHandle,
    *,
    timeout: float | None,  # noqa: ASYNC109 - the error says what it got
    show: Callable[[Event], None],
) -> StatusEvent:
    last: Event | None = None
    try:
        async with asyncio.timeout(timeout), aclosing(run.events()) as events:
            async for event in events:
                last = event
                show(event)
    except TimeoutError:
        raise WaitTimeoutError(
            f"Run {run.id!r} is not over in time. It goes on: {typed('watch', run.id, run.tenant)}"
        ) from None
    if last is None:
        raise UnexpectedAnswerError(f"The events of run {run.id!r} ended without one.")
    return last.state


async def graph_of(client: Client, workflow: str | None) -> PlannedGraph | None:
    """Return what the runs of a workflow are planned to do, if the gateway knows it."""
    if workflow is None or not isinstance(client, Sluice):
        return None
    # It is only shown in addition.
    with suppress(SluiceError):
        return (await client.workflow(workflow)).graph
    return None


async def _workflow_of(client: Client, run: RunHandle) -> str | None:
    # What is wrong with the run itself is said when it is followed.
    with suppress(SluiceError):
        if isinstance(client, Sluice):
            return (await client.run(run.id, tenant=run.tenant).state()).workflow
    return None
