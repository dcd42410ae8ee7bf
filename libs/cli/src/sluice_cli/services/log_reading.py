"""Reads the log of a step, and shows it line by line."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from sluice_cli.domain.log_sources import LogSource
from sluice_cli.domain.log_text import log_document, log_text
from sluice_cli.ports import Screen
from sluice_client import LogGoneError, NotApplicableError, NotFoundError, ProblemType, Run

__all__ = ["LogPart", "LogReader"]

_LOOKS: Final = 5
_NEXT_LOOK_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """The last `tail` lines, None for all; with `follow`, also those to come.

    With `times` each line says when it was written.
    """

    tail: int | None = None
    follow: bool = False
    times: bool = False


class LogReader:
    """Shows logs of the steps of a run.

    Args:
        run: whose steps they are.
        screen: gets the lines.
        part: what is read of each log.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        run: Run,
        screen: Screen,
        *,
        part: LogPart,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._run = run
        self._screen = screen
        self._part = part
        self._sleep = sleep
        self.cut = 0
        """How many lines lacked their ends."""

    async def show(self, source: LogSource, *, named: bool = False) -> None:
        """Show a log, and say why it has no line; with `named`, each line has the step's name.

        Raises:
            LogGoneError, NotApplicableError, NotFoundError: there is none.
            SluiceError: it cannot be read.
        """
        place: str | None = None
        looks = _LOOKS
        while True:
            lines = self._run.logs(
                source.step, tail=self._part.tail, follow=self._part.follow, after=place
            )
            try:
                async with aclosing(lines):
                    async for line in lines:
                        place = line.place
                        self.cut += line.truncated
                        document = log_document(line, source)
                        step = source.shown if named else None
                        text = log_text(line, step=step, times=self._part.times)
                        self._screen.log(document, text=text)
                break
            except NotFoundError as e:
                # One gateway of several may know a step a moment later than another one.
                looks -= 1
                if source.phase is None or e.problem.type != ProblemType.NOT_FOUND or not looks:
                    raise
                await self._sleep(_NEXT_LOOK_S)
        if place is None and self._part.tail != 0:
            why = source.why_empty(followed=self._part.follow)
            self._screen.note(f"{source.shown}: {why}")

    async def show_if_any(self, source: LogSource, *, named: bool = False) -> bool:
        """Show a log if there is one, and return whether there is; else say why not.

        Raises:
            SluiceError: it cannot be read.
        """
        try:
            await self.show(source, named=named)
        except (LogGoneError, NotApplicableError, NotFoundError) as e:
            if isinstance(e, NotFoundError) and e.problem.type != ProblemType.NOT_FOUND:
                # The run is not there, or no step has a log here.
                raise
            self._screen.note(f"{source.shown}: {e.problem.detail}")
            return False
        return True
