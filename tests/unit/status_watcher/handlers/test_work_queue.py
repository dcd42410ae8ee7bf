"""The items of a key stay in order, keys are worked on side by side, and errors end the queue."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_status_watcher.handlers.work_queue import WorkQueue
from tests.unit.status_watcher.world import later, moments

Item = tuple[str, int]
Handle = Callable[[str, Item], Awaitable[None]]


@contextlib.asynccontextmanager
async def running(queue: WorkQueue[str, Item], handle: Handle) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(handle))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def make(
    *,
    concurrency: int = 4,
    max_pending: int = 100,
    size: Callable[[Item], int] = lambda _: 1,
    max_bytes: int = 1000,
) -> WorkQueue[str, Item]:
    return WorkQueue(
        coalescing_key=lambda item: item[0] if item[0] != "keep" else None,
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


async def test_only_items_of_the_same_key_wait_for_each_other() -> None:
    gate = Gate()
    queue = make()
    async with running(queue, gate.handle):
        for number in (1, 2):
            await queue.add("a", ("keep", number))
        await queue.add("b", ("keep", 3))
        await moments()
        assert gate.begun == [("a", ("keep", 1)), ("b", ("keep", 3))]
        gate.open.set()
        await moments()
        assert gate.begun[-1] == ("a", ("keep", 2))
        assert (queue.pending(), queue.active()) == (0, 0)


async def test_newer_item_replaces_waiting_ones_of_its_coalescing_key() -> None:
    gate = Gate()
    queue = make()
    async with running(queue, gate.handle):
        await queue.add("a", ("first", 1))
        await moments()
        for item in [("run", 2), ("keep", 3), ("run", 4), ("end", 5), ("run", 6), ("keep", 7)]:
            await queue.add("a", item)
        assert queue.pending() == 4
        gate.open.set()
        await moments()
    assert [item for _, item in gate.begun[1:]] == [
        ("keep", 3),
        ("end", 5),
        ("run", 6),
        ("keep", 7),
    ]


async def test_concurrency_bounds_the_keys_worked_on() -> None:
    gate = Gate()
    queue = make(concurrency=2)
    async with running(queue, gate.handle):
        for key in "abcde":
            await queue.add(key, ("keep", 0))
        await moments()
        assert len(gate.begun) == 2
        assert queue.active() == 5
        gate.open.set()
        await moments()
        assert [key for key, _ in gate.begun] == list("abcde")


async def test_add_waits_for_room_and_add_now_does_not() -> None:
    gate = Gate()
    queue = make(concurrency=1, max_pending=2)
    async with running(queue, gate.handle):
        for key in "abc":
            await queue.add(key, ("keep", 0))
            await moments()
        blocked = asyncio.create_task(queue.add("d", ("keep", 0)))
        await moments()
        assert not blocked.done()
        queue.add_now("e", ("keep", 0))
        assert queue.pending() == 3
        gate.open.set()
        await blocked
        await moments()
        assert sorted(key for key, _ in gate.begun) == list("abcde")


async def test_add_waits_for_bytes_unless_nothing_else_waits() -> None:
    gate = Gate()
    queue = make(concurrency=1, size=lambda item: item[1], max_bytes=100)
    async with running(queue, gate.handle):
        await queue.add("a", ("keep", 500))
        await moments()
        await queue.add("b", ("keep", 500))
        blocked = asyncio.create_task(queue.add("c", ("keep", 1)))
        await moments()
        assert not blocked.done()
        assert queue.held_bytes() == 1000
        gate.open.set()
        await blocked
        await moments()
        assert [key for key, _ in gate.begun] == list("abc")
        assert queue.held_bytes() == 0


async def test_replaced_item_frees_its_bytes() -> None:
    gate = Gate()
    queue = make(concurrency=1, size=lambda item: item[1], max_bytes=100)
    async with running(queue, gate.handle):
        await queue.add("a", ("keep", 0))
        await moments()
        await queue.add("b", ("run", 90))
        await queue.add("b", ("run", 10))
        await queue.add("c", ("run", 80))
        assert (queue.held_bytes(), queue.pending()) == (90, 2)


async def test_max_bytes_bounds_the_items_worked_on() -> None:
    gate = Gate()
    queue = make(size=lambda item: item[1], max_bytes=100)
    async with running(queue, gate.handle):
        for key, size in [("a", 60), ("b", 40), ("c", 1), ("d", 500), ("e", 1)]:
            queue.add_now(key, ("keep", size))
        await moments()
        # Small items do not overtake a large one without end.
        assert [key for key, _ in gate.begun] == ["a", "b"]
        gate.open.set()
        await moments()
        assert [key for key, _ in gate.begun] == list("abcde")


async def test_failing_worker_ends_the_queue() -> None:
    async def handle(key: str, _: Item) -> None:
        if key == "bad":
            raise ZeroDivisionError
        await asyncio.Event().wait()

    queue = make()
    running = asyncio.create_task(queue.run(handle))
    await queue.add("good", ("keep", 1))
    await queue.add("bad", ("keep", 1))
    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ZeroDivisionError)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "keep"]), st.booleans()),
        max_size=40,
    )
)
async def test_each_key_gets_its_items_in_order(
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

    queue = make(concurrency=2)
    put: dict[str, list[Item]] = defaultdict(list)
    async with running(queue, handle):
        for number, (key, stage, pause) in enumerate(puts):
            put[key].append((stage, number))
            await queue.add(key, (stage, number))
            if pause:
                await moments(3)
        await moments(10 * len(puts) + 10)
    assert (queue.pending(), queue.active()) == (0, 0)
    for key, items in put.items():
        numbers = [number for _, number in handled[key]]
        assert numbers == sorted(numbers)
        assert [i for i in handled[key] if i[0] == "keep"] == [i for i in items if i[0] == "keep"]
        for stage in ("x", "y"):
            assert [i for i in handled[key] if i[0] == stage][-1:] == [
                i for i in items if i[0] == stage
            ][-1:]


@pytest.mark.looptime
async def test_scheduled_item_replaces_the_one_before() -> None:
    gate = Gate()
    queue = make()
    async with running(queue, gate.handle):
        queue.add_at("a", ("keep", 1), at=5)
        queue.add_at("a", ("keep", 2), at=10)
        queue.add_at("b", ("keep", 3), at=10)
        queue.cancel("b")
        queue.cancel("c")
        await later(9)
        assert (gate.begun, queue.pending()) == ([], 0)
        await later(2)
        assert gate.begun == [("a", ("keep", 2))]
