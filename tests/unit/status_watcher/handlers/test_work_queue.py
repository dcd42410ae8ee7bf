"""One key at a time in order, many keys side by side, and nothing fails in silence."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_status_watcher.handlers.work_queue import WorkQueue
from tests.unit.status_watcher.world import moments

Item = tuple[str, int]


@contextlib.asynccontextmanager
async def running(workers: WorkQueue[str, Item]) -> AsyncIterator[None]:
    task = asyncio.create_task(workers.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def make(
    handle: Callable[[str, Item], Awaitable[None]],
    *,
    concurrency: int = 4,
    max_pending: int = 100,
    size: Callable[[Item], int] = lambda _: 1,
    max_bytes: int = 1000,
) -> WorkQueue[str, Item]:
    return WorkQueue(
        handle,
        stage=lambda item: item[0] if item[0] != "keep" else None,
        size=size,
        needs=size,
        concurrency=concurrency,
        max_pending=max_pending,
        max_bytes=max_bytes,
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


async def test_whoever_brings_too_many_bytes_waits_and_one_alone_never_does() -> None:
    gate = Gate()
    workers = make(gate.handle, concurrency=1, size=lambda item: item[1], max_bytes=100)
    async with running(workers):
        await workers.put("a", ("keep", 500))
        await moments()
        await workers.put("b", ("keep", 500))
        blocked = asyncio.create_task(workers.put("c", ("keep", 1)))
        await moments()
        assert not blocked.done()
        assert workers.held_bytes() == 1000
        gate.open.set()
        await blocked
        await moments()
        assert [key for key, _ in gate.begun] == list("abc")
        assert workers.held_bytes() == 0


async def test_a_newer_item_gives_back_the_bytes_of_the_one_it_replaces() -> None:
    gate = Gate()
    workers = make(gate.handle, concurrency=1, size=lambda item: item[1], max_bytes=100)
    async with running(workers):
        await workers.put("a", ("keep", 0))
        await moments()
        await workers.put("b", ("run", 90))
        await workers.put("b", ("run", 10))
        await workers.put("c", ("run", 80))
        assert (workers.held_bytes(), workers.pending()) == (90, 2)


async def test_only_so_many_bytes_are_worked_on_at_once() -> None:
    gate = Gate()
    workers = make(gate.handle, size=lambda item: item[1], max_bytes=100)
    async with running(workers):
        for key, size in [("a", 60), ("b", 40), ("c", 1), ("d", 500), ("e", 1)]:
            workers.put_now(key, ("keep", size))
        await moments()
        # No small one overtakes for ever one that waits for much.
        assert [key for key, _ in gate.begun] == ["a", "b"]
        gate.open.set()
        await moments()
        assert [key for key, _ in gate.begun] == list("abcde")


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
