"""Turns: in order per run, and never in the way of another."""

import asyncio

import pytest

from sluice_contracts.ids import RunKey
from sluice_dispatcher.handlers.key_lock import Lanes
from sluice_dispatcher.services.in_flight_budget import InFlight, Limit

ADA = RunKey("default", "ada")
BOB = RunKey("default", "bob")
ROOM = Limit(records=10, size=1000)


def new_lanes() -> Lanes:
    return Lanes(InFlight(working=ROOM, waiting=ROOM))


async def take(
    lanes: Lanes, key: RunKey | None, log: list[str], name: str, go: asyncio.Event
) -> None:
    async with lanes.turn(key):
        log.append(f"{name} begins")
        await go.wait()
        log.append(f"{name} ends")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_run_goes_one_after_another_and_others_pass_by() -> None:
    log: list[str] = []
    lanes, go = new_lanes(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(take(lanes, ADA, log, "ada 1", go))
        group.create_task(take(lanes, ADA, log, "ada 2", go))
        group.create_task(take(lanes, BOB, log, "bob", go))
        group.create_task(take(lanes, None, log, "nobody", go))
        await settle()
        assert log == ["ada 1 begins", "bob begins", "nobody begins"]
        go.set()
    assert log.index("ada 1 ends") < log.index("ada 2 begins")


async def test_a_turn_that_fails_or_is_cancelled_lets_the_next_one_in() -> None:
    log: list[str] = []
    lanes, go = new_lanes(), asyncio.Event()
    with pytest.raises(RuntimeError):
        async with lanes.turn(ADA):
            raise RuntimeError
    stuck = asyncio.create_task(take(lanes, ADA, log, "stuck", go))
    await settle()
    behind = asyncio.create_task(take(lanes, ADA, log, "behind", go))
    await settle()
    stuck.cancel()
    await asyncio.wait({stuck})
    go.set()
    await behind
    assert log == ["stuck begins", "behind begins", "behind ends"]
