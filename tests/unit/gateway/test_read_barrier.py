"""Requests that wait until the view holds what the topics hold."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from sluice_gateway.adapters.read_barrier import ReadBarrier

pytestmark = pytest.mark.looptime


@dataclass
class ImaginaryProjector:
    """A projector that has caught up at this moment of the loop's clock; None is never."""

    complete_at: float | None
    reading: str | None = None

    async def wait_caught_up(self, *, as_of: float) -> None:
        assert as_of == asyncio.get_running_loop().time()
        complete = asyncio.Event()
        if self.complete_at is not None:
            asyncio.get_running_loop().call_at(self.complete_at, complete.set)
        await complete.wait()

    def waiting_for(self) -> str | None:
        return self.reading


@pytest.mark.parametrize(
    ("projector", "why", "waited"),
    [
        (ImaginaryProjector(2.0), None, 2),
        (ImaginaryProjector(4.0), "the topics could not be read to their end", 3),
        (ImaginaryProjector(None), "the topics could not be read to their end", 3),
        (
            ImaginaryProjector(2.0, "the topics are still being read"),
            "the topics are still being read",
            0,
        ),
    ],
)
async def test_a_view_catches_up_or_says_why_it_may_lack_runs(
    looptime: Any, projector: ImaginaryProjector, why: str | None, waited: int
) -> None:
    read_barrier = ReadBarrier(projector, patience=timedelta(seconds=3), most=1)
    assert await read_barrier.catch_up() == why
    assert looptime == waited


async def test_no_more_wait_than_may() -> None:
    read_barrier = ReadBarrier(ImaginaryProjector(2.0), patience=timedelta(seconds=3), most=2)
    answers = await asyncio.gather(*(read_barrier.catch_up() for _ in range(3)))
    assert answers == [None, None, "too many requests wait until the topics are read"]


async def test_a_request_that_has_gone_makes_room() -> None:
    read_barrier = ReadBarrier(ImaginaryProjector(None), patience=timedelta(seconds=3), most=1)
    for _ in range(2):
        assert await read_barrier.catch_up() == "the topics could not be read to their end"
