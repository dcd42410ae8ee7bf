"""Sends one command to all runs that fulfil a filter, if they are as many as expected."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import Command
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Identity
from sluice_gateway.domain.run_query import RunFilter, RunPlace
from sluice_gateway.ports import RunView
from sluice_gateway.services.commands import Commands, WrittenCommand
from sluice_gateway.services.run_reader import view_problems

__all__ = ["MAX_BYTES", "MAX_RUNS", "BulkCommands", "Sent"]

MAX_RUNS: Final = 1000
"""The most runs of one request."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""The most that one request writes: the bytes of its body for each run."""

_PAGE: Final = 500
_AT_A_TIME: Final = 100
_RETRY_AFTER_S: Final = 2


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of the command to one run."""

    key: RunKey
    result: WrittenCommand | ProblemError


class BulkCommands:
    """Selects the runs, and sends each a command of its own."""

    def __init__(self, *, view: RunView, commands: Commands) -> None:
        self._view = view
        self._commands = commands

    async def send(
        self,
        query: RunFilter,
        command_to: Callable[[RunKey], Command],
        *,
        body_bytes: int,
        expected: int,
        identity: Identity,
        traceparent: str,
    ) -> list[Sent]:
        """Send the command to each run that fulfils the query, the newest first.

        Args:
            query: selects the runs.
            command_to: makes the command to a run, or raises a ProblemError.
            body_bytes: the size of the body that all the commands are made of.
            expected: how many runs fulfil the query.
            identity: of the client; the query asks for no other runs than it may command.
            traceparent: of the request.

        Raises:
            ProblemError: TOO_LARGE, more than MAX_BYTES would be written; COUNT_CHANGED, another
                number of runs fulfils the query; or UNAVAILABLE. Nothing was written.
        """
        if body_bytes * expected > MAX_BYTES:
            raise ProblemError.of(
                ProblemType.TOO_LARGE,
                f"A body of {body_bytes} bytes to each of {expected} runs makes more than "
                f"{MAX_BYTES} bytes. Nothing was written: select fewer runs, or send smaller "
                "values.",
            )
        keys = await self._select(query, expected=expected)
        places = asyncio.Semaphore(_AT_A_TIME)

        async def send(key: RunKey) -> Sent:
            async with places:
                try:
                    result: WrittenCommand | ProblemError = await self._commands.send(
                        command_to(key), identity=identity, traceparent=traceparent
                    )
                except ProblemError as e:
                    result = e
            return Sent(key=key, result=result)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(key), name=f"command to {key}") for key in keys]
        return [task.result() for task in tasks]

    async def _select(self, query: RunFilter, *, expected: int) -> list[RunKey]:
        """Return the runs that fulfil the query, of all that the topics hold by now."""
        keys: list[RunKey] = []
        place: RunPlace | None = None
        with view_problems():
            if (missing := await self._view.catch_up()) is not None:
                raise ProblemError.of(
                    ProblemType.UNAVAILABLE,
                    f"It is not known here yet which runs there are: {missing}.",
                    retry_after=_RETRY_AFTER_S,
                )
            while len(keys) <= expected:
                page = await self._view.list(query, before=place, limit=_PAGE)
                keys += [run.key for run in page.runs]
                place = page.next
                if place is None:
                    break
        if len(keys) != expected:
            raise ProblemError.of(
                ProblemType.COUNT_CHANGED,
                f"{'More' if len(keys) > expected else 'Fewer'} runs than the expected {expected} "
                "fulfil the filter now. Nothing was written: look at them again.",
            )
        return keys
