"""One key at a time in order, many keys side by side, and nothing fails in silence."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_status_watcher.queueing import Workers
from tests.unit.status_watcher.world import moments

Item = tuple[str, int]


@contextlib.asynccontextmanager
async def running(workers: Workers[str, Item]) -> AsyncIterator[None]:
    task = asyncio.create_task(workers.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def make(
    handle: Callable[[str, Item], Awaitable[None]], *, concurrency: int = 4, max_pending: int = 100
) -> Workers[str, Item]:
    return Workers(
        handle,
        stage=lambda item: item[0] if item[0] != "keep" else None,
        concurrency=concurrency,
        max_pending=max_pending,
    )


class Gate:
    """Handles items when the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Item]] = []
        self.open = asyncio.Event()

    async def handle(self, key: str, item: Item) -> None:
        self.begun.append((key, item))
        await self.open.wait()


async def test_items_of_a_key_wait_for_each_other_and_other_keys_do_not() -> None:
    gate = Gate()
    workers = make(gate.handle)
    async with running(workers):
        for number in (1, 2):
            await workers.put("a", ("keep", number))
        await workers.put("b", ("keep", 3))
        await moments()
        assert gate.begun == [("a", ("keep", 1)), ("b", ("keep", 3))]
        gate.open.set()
        await moments()
        assert gate.begun[-1] == ("a", ("keep", 2))
        assert (workers.pending(), workers.active()) == (0, 0)


async def test_a_newer_item_makes_the_waiting_ones_of_its_stage_superfluous() -> None:
    gate = Gate()
    workers = make(gate.handle)
    async with running(workers):
        await workers.put("a", ("first", 1))
        await moments()
        for item in [("run", 2), ("keep", 3), ("run", 4), ("end", 5), ("run", 6), ("keep", 7)]:
            await workers.put("a", item)
        assert workers.pending() == 4
        gate.open.set()
        await moments()
    assert [item for _, item in gate.begun[1:]] == [
        ("keep", 3),
        ("end", 5),
        ("run", 6),
        ("keep", 7),
    ]


async def test_only_so_many_keys_are_worked_on_at_once() -> None:
    gate = Gate()
    workers = make(gate.handle, concurrency=2)
    async with running(workers):
        for key in "abcde":
            await workers.put(key, ("keep", 0))
        await moments()
        assert len(gate.begun) == 2
        assert workers.active() == 5
        gate.open.set()
        await moments()
        assert [key for key, _ in gate.begun] == list("abcde")


async def test_whoever_brings_too_much_waits_and_what_cannot_wait_does_not() -> None:
    gate = Gate()
    workers = make(gate.handle, concurrency=1, max_pending=2)
    async with running(workers):
        for key in "abc":
            await workers.put(key, ("keep", 0))
            await moments()
        blocked = asyncio.create_task(workers.put("d", ("keep", 0)))
        await moments()
        assert not blocked.done()
        workers.put_now("e", ("keep", 0))
        assert workers.pending() == 3
        gate.open.set()
        await blocked
        await moments()
        assert sorted(key for key, _ in gate.begun) == list("abcde")


async def test_a_failing_worker_fails_all() -> None:
    async def handle(key: str, _: Item) -> None:
        if key == "bad":
            raise ZeroDivisionError
        await asyncio.Event().wait()

    workers = make(handle)
    running = asyncio.create_task(workers.run())
    await workers.put("good", ("keep", 1))
    await workers.put("bad", ("keep", 1))
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "keep"]), st.booleans()),
        max_size=40,
    )
)
async def test_each_key_sees_its_items_in_order_and_the_newest_of_each_stage(
    puts: list[tuple[str, str, bool]],
) -> None:
    handled: dict[str, list[Item]] = defaultdict(list)
    busy: set[str] = set()

    async def handle(key: str, item: Item) -> None:
        assert key not in busy
        busy.add(key)
        await asyncio.sleep(0)
        handled[key].append(item)
        busy.discard(key)

    workers = make(handle, concurrency=2)
    put: dict[str, list[Item]] = defaultdict(list)
    async with running(workers):
        for number, (key, stage, pause) in enumerate(puts):
            put[key].append((stage, number))
            await workers.put(key, (stage, number))
            if pause:
                await moments(3)
        await moments(10 * len(puts) + 10)
    assert (workers.pending(), workers.active()) == (0, 0)
    for key, items in put.items():
        numbers = [number for _, number in handled[key]]
        assert numbers == sorted(numbers)
        assert [i for i in handled[key] if i[0] == "keep"] == [i for i in items if i[0] == "keep"]
        for stage in ("x", "y"):
            assert [i for i in handled[key] if i[0] == stage][-1:] == [
                i for i in items if i[0] == stage
            ][-1:]
