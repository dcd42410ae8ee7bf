"""Records are counted until their tasks end, and waiting ones make room for others."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from tests.support.dispatcher import small_budget

pytestmark = pytest.mark.looptime


def new_budget() -> InFlightBudget:
    return small_budget(active=3, waiting=3, size=100)


class Held:
    """A record's task, which does what a test orders."""

    def __init__(self, budget: InFlightBudget, *, size: int, topic: str = "") -> None:
        self._orders: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        self._budget = budget
        self.task: asyncio.Task[object] = asyncio.create_task(self._obey())
        budget.admit(self.task, size=size, topic=topic)

    async def do(self, order: str, argument: object = None) -> None:
        self._orders.put_nowait((order, argument))
        for _ in range(5):
            await asyncio.sleep(0)

    async def _obey(self) -> None:
        while True:
            match await self._orders.get():
                case "wait", WaitReason() as reason:
                    self._budget.mark_waiting(reason)
                case "proceed", _:
                    self._budget.mark_active()
                case "decode", int(size):
                    await self._budget.reserve_decoded(size)
                case "fail", _:
                    raise RuntimeError
                case _:
                    return


async def end(*held: Held) -> None:
    for one in held:
        one.task.cancel()
    await asyncio.wait([one.task for one in held])
    await asyncio.sleep(0)


async def test_active_records_are_bounded_by_number_and_by_bytes() -> None:
    budget = new_budget()
    small = [Held(budget, size=1) for _ in range(3)]
    assert budget.full
    await small[0].do("end")
    assert not budget.full
    large = Held(budget, size=98)
    await end(small[1])
    assert not budget.full
    await large.do("decode", 2)
    assert budget.full
    assert budget.blocked_by() is None
    await end(small[2], large)
    assert budget.active == 0


async def test_waiting_records_make_room_until_their_own_limit() -> None:
    budget = new_budget()
    held = [Held(budget, size=1) for _ in range(3)]
    for one in held[:2]:
        await one.do("wait", WaitReason.STATUS_WATCHER)
    await held[2].do("wait", WaitReason.FORBIDDEN)
    assert budget.active == 0
    assert {k: v for k, v in budget.waiting.items() if v} == {
        WaitReason.STATUS_WATCHER: 2,
        WaitReason.FORBIDDEN: 1,
    }
    assert budget.full
    assert budget.blocked_by() == (
        "3 records wait and no more are read (status-watcher: 2, forbidden: 1)"
    )
    await held[2].do("proceed")
    assert budget.blocked_by() is None
    assert not budget.is_progressing(held[0].task)
    assert budget.is_progressing(held[2].task)
    await end(*held)


async def test_waiting_records_are_bounded_by_bytes_as_well() -> None:
    budget = new_budget()
    held = Held(budget, size=60)
    await held.do("decode", 40)
    await held.do("wait", WaitReason.KAFKA)
    assert budget.blocked_by() == "1 records wait and no more are read (kafka: 1)"
    await end(held)
    assert not budget.full


async def test_a_record_is_decoded_once_there_is_room_for_it() -> None:
    budget = small_budget(waiting=3, size=100)
    first, second, third = (Held(budget, size=0) for _ in range(3))
    # One that is larger than all the room has it for itself.
    await first.do("decode", 150)
    assert budget.full
    await second.do("decode", 10)
    await second.do("wait", WaitReason.KUBERNETES)
    assert budget.waiting[WaitReason.KUBERNETES] == 0, "decoded before there was room"
    await first.do("wait", WaitReason.KUBERNETES)
    assert budget.waiting[WaitReason.KUBERNETES] == 2
    await third.do("decode", 90)
    assert budget.active == 1
    await end(first, second, third)
    assert not budget.full


async def test_the_waiting_records_of_one_topic_take_no_room_from_others() -> None:
    budget = small_budget(active=9, waiting=4, topics=2)
    busy = [Held(budget, size=1, topic="busy") for _ in range(4)]
    for one in busy:
        await one.do("wait", WaitReason.FORBIDDEN)
    assert budget.blocked_topics() == {"busy"}
    assert not budget.full
    assert budget.blocked_by() is None
    other = [Held(budget, size=1, topic="other") for _ in range(4)]
    for one in other:
        await one.do("wait", WaitReason.FORBIDDEN)
    assert budget.full
    assert budget.blocked_by() == "8 records wait and no more are read (forbidden: 8)"
    await end(*busy, *other)


async def test_a_blocked_topic_is_read_again_once_a_quarter_of_its_room_is_free() -> None:
    budget = small_budget(active=9, waiting=4, topics=2)
    busy = [Held(budget, size=1, topic="busy") for _ in range(4)]
    for one in busy:
        await one.do("wait", WaitReason.FORBIDDEN)
    assert budget.blocked_topics() == {"busy"}
    busy.append(Held(budget, size=1, topic="busy"))
    await busy[-1].do("wait", WaitReason.FORBIDDEN)
    await busy[0].do("end")
    assert budget.blocked_topics() == {"busy"}
    await busy[1].do("end")
    assert budget.blocked_topics() == set()
    await end(*busy[2:])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["wait", "proceed", "decode", "fail", "end", "cancel"]),
            st.sampled_from(WaitReason),
            st.integers(1, 20),
        ),
        max_size=40,
    )
)
async def test_no_record_is_counted_after_its_task(
    history: list[tuple[int, str, WaitReason, int]],
) -> None:
    budget = small_budget()
    held = [Held(budget, size=10) for _ in range(4)]
    for number, order, reason, size in history:
        if held[number].task.done():
            continue
        if order == "cancel":
            await end(held[number])
        else:
            await held[number].do(order, reason if order == "wait" else size)
        alive = sum(not one.task.done() for one in held)
        assert budget.active + sum(budget.waiting.values()) == alive
    await end(*held)
    for one in held:
        one.task.cancelled() or one.task.exception()
    assert budget.active == 0
    assert not any(budget.waiting.values())
    assert (budget._active.received, budget._active.decoded) == (0, 0)
    assert all((each.received, each.decoded) == (0, 0) for each in budget._waiting.values())
