"""A stand-in for the log-relay: it gives what a test puts into it, and notes what it is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from sluice_gateway.domain.logged_steps import LoggedStep
from sluice_gateway.services.log_relay import (
    LogGoneError,
    LogRefusedError,
    LogUnavailableError,
)

__all__ = ["Asked", "FakeLogRelay", "KeptLogs"]


class Asked(NamedTuple):
    """What one opening asked for."""

    node_id: str
    tail: int | None
    since: int | None
    follow: bool


@dataclass
class FakeLogRelay:
    """Each opening takes pieces up to an empty one, the end, or None, an interruption."""

    pieces: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    asked: list[Asked] = field(default_factory=list)
    steps: list[LoggedStep] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, *pieces: bytes | None) -> None:
        """Let these come."""
        for piece in pieces:
            self.pieces.put_nowait(piece)

    def gone(self) -> None:
        """Refuse the next opening: there is no pod."""
        self.refusals.append(LogGoneError())

    def unavailable(self, times: int = 1) -> None:
        """Refuse the next openings for the moment."""
        self.refusals.extend(LogUnavailableError("503") for _ in range(times))

    def refuse(self) -> None:
        """Do not accept the secret of the next opening."""
        self.refusals.append(LogRefusedError("401"))

    @asynccontextmanager
    async def open(
        self, step: LoggedStep, *, tail: int | None, since: int | None, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a log."""
        self.asked.append(Asked(step.node_id, tail, since, follow))
        self.steps.append(step)
        if self.refusals:
            raise self.refusals.pop(0)
        try:
            yield self._chunks()
        finally:
            self.left.set()

    async def close(self) -> None:
        """Break off all that is open."""
        self.pieces.put_nowait(None)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while piece := await self.pieces.get():
            yield piece
        if piece is None:
            raise LogUnavailableError("cut")


class KeptLogs:
    """A log-relay whose logs are at their ends: each line is one that a test has written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @asynccontextmanager
    async def open(
        self, step: LoggedStep, *, tail: int | None, since: int | None, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the log."""
        timed = [
            f"2025-11-30T12:00:00.{number:09d}Z {line}\n".encode()
            for number, line in enumerate(self.lines, 1)
        ]
        kept = timed if tail is None else timed[len(timed) - tail :]

        async def chunks() -> AsyncIterator[bytes]:
            yield b"".join(kept)

        yield chunks()

    async def close(self) -> None:
        """Nothing is open."""
