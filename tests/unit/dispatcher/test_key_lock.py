"""Records of one run are handled in order, and never delay those of another."""

import asyncio

import pytest

from sluice_contracts.ids import RunKey
from sluice_dispatcher.handlers.key_lock import KeyLock
from tests.support.dispatcher import small_budget

ADA = RunKey("default", "ada")
BOB = RunKey("default", "bob")


def new_key_lock() -> KeyLock:
    return KeyLock(small_budget())


async def take(
    key_lock: KeyLock, key: RunKey | None, log: list[str], name: str, go: asyncio.Event
) -> None:
    async with key_lock.hold(key):
        log.append(f"{name} begins")
        await go.wait()
        log.append(f"{name} ends")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_records_of_one_run_go_in_order_and_others_pass_them() -> None:
    log: list[str] = []
    key_lock, go = new_key_lock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(take(key_lock, ADA, log, "ada 1", go))
        group.create_task(take(key_lock, ADA, log, "ada 2", go))
        group.create_task(take(key_lock, BOB, log, "bob", go))
        group.create_task(take(key_lock, None, log, "without a run", go))
        await settle()
        assert log == ["ada 1 begins", "bob begins", "without a run begins"]
        go.set()
    assert log.index("ada 1 ends") < log.index("ada 2 begins")


async def test_a_lock_is_released_after_a_failure_or_a_cancellation() -> None:
    log: list[str] = []
    key_lock, go = new_key_lock(), asyncio.Event()
    with pytest.raises(RuntimeError):
        async with key_lock.hold(ADA):
            raise RuntimeError
    stuck = asyncio.create_task(take(key_lock, ADA, log, "stuck", go))
    await settle()
    behind = asyncio.create_task(take(key_lock, ADA, log, "behind", go))
    await settle()
    stuck.cancel()
    await asyncio.wait({stuck})
    go.set()
    await behind
    assert log == ["stuck begins", "behind begins", "behind ends"]
