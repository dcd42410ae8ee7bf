"""One time budget for many calls, on a virtual clock."""

import asyncio
from datetime import timedelta

import pytest

from sluice_runtime.deadlines import Deadline, DeadlineExceededError
from tests.unit.runtime.clock import now, pause

pytestmark = pytest.mark.looptime


async def test_a_body_within_the_deadline_passes() -> None:
    deadline = Deadline("a call", timedelta(seconds=5))
    async with deadline.enforce(), asyncio.timeout(10):
        await pause(4)


async def test_the_budget_is_shared_by_all_calls() -> None:
    started = now()
    deadline = Deadline("three calls", timedelta(seconds=5))
    done: list[float] = []

    async def calls() -> None:
        for _ in range(3):
            async with deadline.enforce():
                await pause(2)
            done.append(now() - started)

    with pytest.raises(DeadlineExceededError) as caught:
        await calls()
    assert str(caught.value) == "three calls: not done within 5 s"
    assert (done, now() - started) == ([2, 4], 5)


async def test_an_expired_deadline_cancels_at_once() -> None:
    deadline = Deadline("a call", timedelta(0))
    with pytest.raises(DeadlineExceededError):
        async with deadline.enforce():
            await pause(1)


async def test_a_timeout_of_the_body_s_own_passes_through() -> None:
    deadline = Deadline("a call", timedelta(seconds=5))
    own = TimeoutError("the body's own")
    with pytest.raises(TimeoutError) as caught:
        async with deadline.enforce():
            raise own
    assert caught.value is own


async def test_a_cancellation_that_the_body_makes_a_timeout_is_of_the_deadline() -> None:
    async def body() -> None:
        try:
            await pause(9)
        except asyncio.CancelledError:
            raise TimeoutError from None

    with pytest.raises(DeadlineExceededError, match="a call"):
        async with Deadline("a call", timedelta(seconds=5)).enforce():
            await body()


async def test_the_inner_deadline_is_the_one_named() -> None:
    outer = Deadline("outer", timedelta(seconds=5))
    inner = Deadline("inner", timedelta(seconds=2))
    with pytest.raises(DeadlineExceededError, match="inner"):
        async with outer.enforce(), inner.enforce():
            await pause(9)
    with pytest.raises(DeadlineExceededError, match="outer"):
        async with outer.enforce(), Deadline("inner", timedelta(seconds=9)).enforce():
            await pause(9)


async def test_cancellation_from_outside_stays_a_cancellation() -> None:
    started = asyncio.Event()

    async def body() -> None:
        async with Deadline("a call", timedelta(seconds=5)).enforce():
            started.set()
            await pause(9)

    task = asyncio.create_task(body())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
