"""Costly work gets its share of the event loop's time, peer after peer."""

import asyncio
from collections.abc import Generator

import pytest

from sluice_gateway.services.loop_share import LoopShare
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

STEP_S = 0.02


class Work:
    """Work whose steps take time on a clock that runs with the loop's."""

    def __init__(self) -> None:
        self._worked = 0.0
        self.done: list[str] = []
        self.share = LoopShare(share=0.25, clock=self.clock)

    def clock(self) -> float:
        return asyncio.get_running_loop().time() + self._worked

    def steps(
        self, name: str, count: int = 3, *, seconds: float = STEP_S, fails: bool = False
    ) -> Generator[None, None, str]:
        for number in range(count):
            self._worked += seconds
            self.done.append(f"{name}{number}")
            yield
        if fails:
            raise ValueError(name)
        return name

    async def run(self, name: str, *, peer: str = "a", count: int = 3, fails: bool = False) -> str:
        return await self.share.run(peer, self.steps(name, count, fails=fails))


async def waiting(*tasks: asyncio.Task[str]) -> None:
    """Let the tasks get to where they wait for the place."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_the_work_returns_what_it_makes() -> None:
    assert await Work().run("a") == "a"


async def test_three_quarters_of_the_time_are_left_to_others() -> None:
    work, loop = Work(), asyncio.get_running_loop()
    await asyncio.gather(*(work.run("x", peer=str(peer)) for peer in range(5)))
    # A pause of three times the step after each.
    assert loop.time() == pytest.approx(15 * 3 * STEP_S, abs=0.001)


async def test_pauses_that_are_too_short_for_a_timer_are_made_up_for_later() -> None:
    work, loop = Work(), asyncio.get_running_loop()
    await work.share.run("a", work.steps("x", 5, seconds=0.0001))
    assert loop.time() == 0
    await work.share.run("a", work.steps("x", 1_000, seconds=0.0001))
    assert loop.time() == pytest.approx(1_005 * 3 * 0.0001, rel=0.02)


async def test_time_that_nobody_used_is_not_saved_up_nor_owed() -> None:
    work, loop = Work(), asyncio.get_running_loop()
    await work.run("x")
    await pause(100)
    began = loop.time()
    await work.run("x")
    assert loop.time() - began == pytest.approx(3 * 3 * STEP_S, abs=0.001)


async def test_peers_take_turns_whatever_each_brings() -> None:
    work = Work()
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(work.run(name, peer="greedy", count=1))
        group.create_task(work.run("d", peer="honest", count=1))
        group.create_task(work.run("e", peer="honest", count=1))
    assert work.done == ["a0", "b0", "d0", "c0", "e0"]


async def test_one_is_worked_on_at_a_time() -> None:
    work = Work()
    await asyncio.gather(work.run("a"), work.run("b", peer="b"))
    assert work.done == ["a0", "a1", "a2", "b0", "b1", "b2"]


async def test_work_that_fails_lets_the_next_in() -> None:
    work = Work()
    failed, other = await asyncio.gather(
        work.run("a", fails=True), work.run("b"), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert other == "b"


async def test_work_that_is_given_up_is_not_done() -> None:
    work = Work()
    tasks = [asyncio.create_task(work.run(name)) for name in ("a", "b", "c")]
    await waiting(*tasks)
    tasks[1].cancel()
    tasks[0].cancel()
    assert await tasks[2] == "c"
    assert "b0" not in work.done
    assert await work.run("d") == "d"


async def test_a_called_task_that_leaves_hands_its_place_on() -> None:
    work = Work()
    first = asyncio.create_task(work.run("a"))
    second, third = (asyncio.create_task(work.run(name)) for name in ("b", "c"))
    await waiting(first, second, third)
    # In the round in which the first one ends, the second is called, and does not know it yet.
    first.add_done_callback(lambda _: second.cancel())
    assert await first == "a"
    assert await third == "c"
    assert second.cancelled()
    assert "b0" not in work.done
