"""One session with Kafka follows another, after a pause if the last one failed."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from aiokafka.errors import KafkaConnectionError

from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.sessions import run_sessions
from tests.unit.runtime.clock import now

BACKOFF = Backoff(first=timedelta(seconds=1), uniform=lambda _, high: high)

Body = Callable[[], AsyncGenerator[None]]


class Sessions:
    """Runs these bodies as sessions, one after another, and then one that never ends."""

    def __init__(self, *bodies: Body) -> None:
        self._bodies = list(bodies)
        self.began_at: list[float] = []
        self.closed = 0

    async def session(self) -> AsyncGenerator[None]:
        self.began_at.append(now())
        try:
            body = self._bodies.pop(0) if self._bodies else blocks
            async for step in body():
                yield step
        finally:
            self.closed += 1

    async def run(self, *, seconds: float) -> list[float]:
        """Return the pauses that were reported."""
        pauses: list[float] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await run_sessions(
                    self.session, backoff=BACKOFF, on_retry=lambda _, pause: pauses.append(pause)
                )
        return pauses


async def fails() -> AsyncGenerator[None]:
    raise KafkaConnectionError
    yield


async def fails_after_progress() -> AsyncGenerator[None]:
    yield
    raise OSError


async def ends_after_progress() -> AsyncGenerator[None]:
    yield


async def breaks() -> AsyncGenerator[None]:
    yield
    raise ValueError("a defect")


async def blocks() -> AsyncGenerator[None]:
    yield
    await asyncio.Event().wait()


@pytest.mark.looptime
async def test_pauses_grow_while_sessions_fail() -> None:
    sessions = Sessions(fails, fails, fails)
    assert await sessions.run(seconds=20) == [1, 2, 4]
    assert sessions.began_at == [0, 1, 3, 7]


@pytest.mark.looptime
async def test_progress_makes_the_next_pause_short_again() -> None:
    sessions = Sessions(fails, fails, fails_after_progress, fails)
    assert await sessions.run(seconds=20) == [1, 2, 1, 2]


@pytest.mark.looptime
async def test_a_session_that_ends_is_followed_by_another_at_once() -> None:
    sessions = Sessions(ends_after_progress)
    assert await sessions.run(seconds=20) == []
    assert sessions.began_at == [0, 0]


@pytest.mark.looptime
async def test_defects_pass_through() -> None:
    with pytest.raises(ValueError, match="a defect"):
        await Sessions(breaks).run(seconds=20)


@pytest.mark.looptime
async def test_every_session_is_closed_when_the_task_is_cancelled() -> None:
    sessions = Sessions(fails, fails_after_progress, ends_after_progress)
    await sessions.run(seconds=20)
    assert sessions.closed == len(sessions.began_at) == 4
