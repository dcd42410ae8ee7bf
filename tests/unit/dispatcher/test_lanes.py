"""Turns: in order per run, bounded in all."""

import asyncio

import pytest

from sluice_contracts.ids import RunKey
from sluice_dispatcher.handlers.lanes import Lanes

ADA = RunKey("default", "ada")
BOB = RunKey("default", "bob")


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
    lanes, go = Lanes(width=4), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(take(lanes, ADA, log, "ada 1", go))
        group.create_task(take(lanes, ADA, log, "ada 2", go))
        group.create_task(take(lanes, BOB, log, "bob", go))
        group.create_task(take(lanes, None, log, "nobody", go))
        await settle()
        assert log == ["ada 1 begins", "bob begins", "nobody begins"]
        go.set()
    assert log.index("ada 1 ends") < log.index("ada 2 begins")


async def test_only_so_many_at_once_and_waiting_for_oneself_takes_no_slot() -> None:
    log: list[str] = []
    lanes, go = Lanes(width=2), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for name, key in (("ada 1", ADA), ("ada 2", ADA), ("bob", BOB), ("nobody", None)):
            group.create_task(take(lanes, key, log, name, go))
        await settle()
        assert log == ["ada 1 begins", "bob begins"]
        go.set()
    assert len(log) == 8


async def test_a_turn_that_fails_or_is_cancelled_lets_the_next_one_in() -> None:
    log: list[str] = []
    lanes, go = Lanes(width=1), asyncio.Event()
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
