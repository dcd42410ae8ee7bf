"""What is held is counted, whatever becomes of it, and what waits is in nobody's way."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlight, Limit

pytestmark = pytest.mark.looptime

ROOM = Limit(records=3, size=100)


def new_in_flight() -> InFlight:
    return InFlight(working=ROOM, waiting=ROOM)


class Held:
    """A record's task, which does what it is told."""

    def __init__(self, in_flight: InFlight, *, size: int) -> None:
        self._orders: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        self._in_flight = in_flight
        self.task: asyncio.Task[object] = asyncio.create_task(self._obey())
        in_flight.begin(self.task, size=size)

    async def do(self, order: str, argument: object = None) -> None:
        self._orders.put_nowait((order, argument))
        for _ in range(5):
            await asyncio.sleep(0)

    async def _obey(self) -> None:
        while True:
            match await self._orders.get():
                case "wait", WaitReason() as reason:
                    self._in_flight.wait_for(reason)
                case "go on", _:
                    self._in_flight.go_on()
                case "decode", int(size):
                    await self._in_flight.decode(size)
                case "fail", _:
                    raise RuntimeError
                case _:
                    return


async def end(*held: Held) -> None:
    for one in held:
        one.task.cancel()
    await asyncio.wait([one.task for one in held])
    await asyncio.sleep(0)


async def test_records_fill_it_by_number_and_by_bytes() -> None:
    in_flight = new_in_flight()
    small = [Held(in_flight, size=1) for _ in range(3)]
    assert in_flight.full
    await small[0].do("end")
    assert not in_flight.full
    large = Held(in_flight, size=98)
    await end(small[1])
    assert not in_flight.full
    await large.do("decode", 2)
    assert in_flight.full
    assert in_flight.blocked_by() is None
    await end(small[2], large)
    assert in_flight.working == 0


async def test_what_waits_makes_room_until_that_is_full_too() -> None:
    in_flight = new_in_flight()
    held = [Held(in_flight, size=1) for _ in range(3)]
    for one in held[:2]:
        await one.do("wait", WaitReason.STATUS_WATCHER)
    await held[2].do("wait", WaitReason.FORBIDDEN)
    assert in_flight.working == 0
    assert {k: v for k, v in in_flight.waiting.items() if v} == {
        WaitReason.STATUS_WATCHER: 2,
        WaitReason.FORBIDDEN: 1,
    }
    assert in_flight.full
    assert in_flight.blocked_by() == (
        "3 records wait and no more are read (status-watcher: 2, forbidden: 1)"
    )
    await held[2].do("go on")
    assert in_flight.blocked_by() is None
    assert not in_flight.is_under_way(held[0].task)
    assert in_flight.is_under_way(held[2].task)
    await end(*held)


async def test_what_waits_is_bounded_by_bytes_as_well() -> None:
    in_flight = new_in_flight()
    held = Held(in_flight, size=60)
    await held.do("decode", 40)
    await held.do("wait", WaitReason.KAFKA)
    assert in_flight.blocked_by() == "1 records wait and no more are read (kafka: 1)"
    await end(held)
    assert not in_flight.full


async def test_a_record_is_decoded_once_there_is_room_for_it() -> None:
    in_flight = InFlight(working=Limit(records=9, size=100), waiting=ROOM)
    first, second, third = (Held(in_flight, size=0) for _ in range(3))
    # One that is larger than all the room has it for itself.
    await first.do("decode", 150)
    assert in_flight.full
    await second.do("decode", 10)
    await second.do("wait", WaitReason.KUBERNETES)
    assert in_flight.waiting[WaitReason.KUBERNETES] == 0, "decoded before there was room"
    await first.do("wait", WaitReason.KUBERNETES)
    assert in_flight.waiting[WaitReason.KUBERNETES] == 2
    await third.do("decode", 90)
    assert in_flight.working == 1
    await end(first, second, third)
    assert not in_flight.full


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["wait", "go on", "decode", "fail", "end", "cancel"]),
            st.sampled_from(WaitReason),
            st.integers(1, 20),
        ),
        max_size=40,
    )
)
async def test_in_the_end_nothing_is_held(
    history: list[tuple[int, str, WaitReason, int]],
) -> None:
    in_flight = InFlight(working=Limit(records=9, size=1000), waiting=Limit(records=9, size=1000))
    held = [Held(in_flight, size=10) for _ in range(4)]
    for number, order, reason, size in history:
        if held[number].task.done():
            continue
        if order == "cancel":
            await end(held[number])
        else:
            await held[number].do(order, reason if order == "wait" else size)
        alive = sum(not one.task.done() for one in held)
        assert in_flight.working + sum(in_flight.waiting.values()) == alive
    await end(*held)
    for one in held:
        one.task.cancelled() or one.task.exception()
    assert in_flight.working == 0
    assert not any(in_flight.waiting.values())
    assert (in_flight._working.received, in_flight._working.decoded) == (0, 0)
    assert (in_flight._waiting.received, in_flight._waiting.decoded) == (0, 0)
