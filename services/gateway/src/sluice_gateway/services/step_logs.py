"""Reads the log of a step, and goes on behind the last line when that breaks off."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import structlog

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.fair_shares import FairShares
from sluice_gateway.domain.log_lines import LogPlace, LogText, PlacedLine
from sluice_gateway.domain.logged_steps import LoggedStep
from sluice_gateway.services.log_relay import (
    LogGoneError,
    LogRefusedError,
    LogRelay,
    LogUnavailableError,
)

__all__ = ["LogPart", "StepLogs"]

_log = structlog.get_logger(__name__)

_RETRY_AFTER_S: Final = 5
_PAUSE_S: Final = 1.0
_MAX_FAILURES: Final = 5
_PEER_SHARE: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """The last `tail` lines, or those behind a place; with `follow`, also those to come."""

    tail: int | None = None
    after: LogPlace | None = None
    follow: bool = False


class StepLogs:
    """The logs of steps; without a relay there are none.

    Of a line `max_line` bytes are kept, and one answer has about `max_bytes`. At most `max_streams`
    are read at a time, of which a peer has half of what the others leave.
    """

    def __init__(
        self,
        relay: LogRelay | None = None,
        *,
        max_line: int = 16 * 1024,
        max_bytes: int = 64 * 1024 * 1024,
        max_streams: int = 200,
    ) -> None:
        self._streams = FairShares(budget=max_streams, share=_PEER_SHARE)
        self.max_bytes = max_bytes
        self._relay = relay
        self._max_line = max_line
        self._closed = False

    async def close(self) -> None:
        """Break off all logs that are being read."""
        self._closed = True
        if self._relay is not None:
            await self._relay.close()

    @asynccontextmanager
    async def open(
        self, step: LoggedStep, part: LogPart, *, peer: str
    ) -> AsyncIterator[AsyncGenerator[tuple[PlacedLine, ...]]]:
        """Yield the lines of a step's log, as many at a time as have come.

        Raises:
            ProblemError: LOGS_DISABLED, LOG_GONE, OVERLOADED or UNAVAILABLE; the last also while it
                is read.
        """
        if self._relay is None:
            raise ProblemError.of(
                ProblemType.LOGS_DISABLED,
                "The logs of steps are not set up here. Operators find in docs/logs.md how to.",
            )
        if not self._streams.take(peer, 1):
            raise _overloaded()
        async with AsyncExitStack() as stack, AsyncExitStack() as held:
            held.callback(self._streams.give_back, peer, 1)
            try:
                chunks = await stack.enter_async_context(_opened(self._relay, step, part))
            except LogGoneError as e:
                raise _gone(step) from e
            except LogUnavailableError as e:
                raise _unavailable(e) from e
            yield self._lines(self._relay, step, part, first=chunks, stack=stack)

    async def _lines(
        self,
        relay: LogRelay,
        step: LoggedStep,
        part: LogPart,
        *,
        first: AsyncIterator[bytes],
        stack: AsyncExitStack,
    ) -> AsyncGenerator[tuple[PlacedLine, ...]]:
        chunks, failures = first, 0
        text = LogText(max_line=self._max_line, after=part.after)
        while True:
            pause = 0.0
            try:
                async for chunk in chunks:
                    if lines := tuple(text.feed(chunk)):
                        failures = 0
                        yield lines
            except LogUnavailableError as e:
                failures += 1
                if self._closed or failures > _MAX_FAILURES:
                    raise _unavailable(e) from e
                _log.info("log interrupted, it is continued", error=str(e))
                pause = _PAUSE_S
            else:
                if not part.follow:
                    break
                # A container's end does not wait for containerd to write its last lines, and the
                # kubelet ends a log that it follows with the container.
                part, failures = replace(part, follow=False), 0
            await stack.aclose()
            await asyncio.sleep(pause)
            part = replace(part, after=text.last)
            again = await _opened_again(relay, step, part, stack=stack)
            if again is None:
                break
            # What was read of a line that is not complete comes once more.
            chunks, text = again, LogText(max_line=self._max_line, after=text.last)
        if lines := tuple(text.flush()):
            yield lines


def _opened(
    relay: LogRelay, step: LoggedStep, part: LogPart
) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    tail, since = (part.tail, None) if part.after is None else (None, part.after.second)
    return relay.open(step, tail=tail, since=since, follow=part.follow)


async def _opened_again(
    relay: LogRelay, step: LoggedStep, part: LogPart, *, stack: AsyncExitStack
) -> AsyncIterator[bytes] | None:
    """Return the log, None if the step has none any more; it may break as soon as it is read."""
    try:
        return await stack.enter_async_context(_opened(relay, step, part))
    except LogGoneError:
        return None
    except LogUnavailableError as e:
        return _broken(e)


async def _broken(error: LogUnavailableError) -> AsyncIterator[bytes]:
    raise error
    yield b""


def _gone(step: LoggedStep) -> ProblemError:
    kept = (
        f"Its archived log is at {step.archived}."
        if step.archived
        else "docs/operations.md says how logs are archived."
    )
    return ProblemError.of(
        ProblemType.LOG_GONE, f"The log is no longer kept: the pod of the step is gone. {kept}"
    )


def _overloaded() -> ProblemError:
    return ProblemError.of(
        ProblemType.OVERLOADED,
        "As many logs are read as may be, in all or from your address. Close one, or try again "
        "after the time in Retry-After.",
        retry_after=_RETRY_AFTER_S,
    )


def _unavailable(error: LogUnavailableError) -> ProblemError:
    why = (
        "the log-relay refuses the gateway, because their secrets differ. Operators find in "
        "docs/logs.md what to do."
        if isinstance(error, LogRefusedError)
        else "the log-relay or the cluster does not answer. Try again after the time in "
        "Retry-After."
    )
    return ProblemError.of(
        ProblemType.UNAVAILABLE,
        f"The log cannot be read now: {why}",
        retry_after=_RETRY_AFTER_S,
    )
