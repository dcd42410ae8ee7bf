"""Follows the logs of a run's steps, also of those that are still to come."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from sluice_cli.domain.log_sources import LogSource, StepsOfRun
from sluice_cli.ports import Screen
from sluice_cli.services.log_reading import LogReader
from sluice_client import Run, StatusEvent

__all__ = ["appearance", "follow_all"]

_AT_ONCE: Final = 20
"""A gateway lets one address read a hundred logs, if nobody else reads any."""


async def appearance(
    run: Run, steps: StepsOfRun, step: str, *, seen: StatusEvent
) -> LogSource | None:
    """Return a step once the run has it; None if the run ends without it.

    `steps` are those of the state that was seen.
    """
    async with aclosing(_changes(run, steps, seen=seen)) as changes:
        async for _ in changes:
            if source := steps.find(step):
                return source
    return None


async def follow_all(
    run: Run,
    steps: StepsOfRun,
    reader: LogReader,
    screen: Screen,
    *,
    seen: StatusEvent,
    named: bool,
) -> bool:
    """Show the logs of all steps as they are written, and return whether there is one.

    `steps` are those of the state that was seen, and `named` says whether lines have their names.

    Raises:
        SluiceError: the run cannot be followed, or a log cannot be read.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    begun: dict[str, asyncio.Task[bool]] = {}

    async def show(source: LogSource) -> bool:
        async with gate:
            return await reader.show_if_any(source, named=named)

    def begin(group: asyncio.TaskGroup, sources: Iterable[LogSource]) -> None:
        for source in sources:
            # One that has not started could wait long, in the place of others.
            if source.has_started and source.step not in begun:
                begun[source.step] = group.create_task(show(source))
                if len(begun) == _AT_ONCE + 1:
                    screen.note(f"{_AT_ONCE} logs are followed at a time; others come later.")

    try:
        async with asyncio.TaskGroup() as group:
            begin(group, steps.sources())
            async with aclosing(_changes(run, steps, seen=seen)) as changes:
                async for sources in changes:
                    begin(group, sources)
    except ExceptionGroup as e:
        # What follows from the first failure is not another one.
        raise e.exceptions[0] from None
    return any(each.result() for each in begun.values())


async def _changes(
    run: Run, steps: StepsOfRun, *, seen: StatusEvent
) -> AsyncGenerator[list[LogSource]]:
    """Yield which steps of those that run pods have changed since a state, until the run ends."""
    async with aclosing(run.events()) as events:
        async for event in events:
            # Those before may be about steps that a retry has replaced.
            if event.state.sequence > seen.sequence:
                yield steps.apply(event.state)
