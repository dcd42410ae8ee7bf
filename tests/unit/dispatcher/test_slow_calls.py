"""An API server that answers some calls late, or never, delays only those."""

import asyncio

import pytest

from sluice_dispatcher.app import ACTIVE_LIMIT
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import Desk, hello, small_budget
from tests.unit.dispatcher.test_overload import command, in_flight_records, until, workflow_of
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime


async def time_out(_: str) -> None:
    """Answer a create as an API server that hangs."""
    await pause(DedupeSettings().create_timeout.total_seconds())
    raise ApiUnavailableError("create a Workflow: not done within 15 s")


async def test_hanging_creates_make_room_for_other_records_within_seconds() -> None:
    """With a hanging admission webhook, creates time out and other calls are answered at once."""
    desk = Desk()
    await desk.handler.handle(desk.record(hello("running")))

    desk.before_create(time_out)
    records = in_flight_records(desk)
    for number in range(ACTIVE_LIMIT.records):
        records.start(desk.record(hello(f"order-{number}")))
    began = asyncio.get_running_loop().time()
    await until(lambda: not desk.budget.full)
    assert asyncio.get_running_loop().time() - began < 10
    assert desk.budget.waiting[WaitReason.SLOT] > 0

    records.start(command(desk, "stop", "running"))
    stopped = workflow_of("running")
    await until(lambda: "shutdown" in desk.workflows.object_for_test(stopped)["spec"])
    assert asyncio.get_running_loop().time() - began < 20
    await records.close(grace=0)


async def test_a_hanging_record_takes_a_common_slot_once() -> None:
    """64 of them use the sixteen slots for a minute, and then slots of their own."""
    desk = Desk()
    stuck = {workflow_of(f"hanging-{number}") for number in range(64)}

    async def step(name: str) -> None:
        if name in stuck:
            await time_out(name)

    desk.before_create(step)
    records = in_flight_records(desk)
    for number in range(64):
        records.start(desk.record(hello(f"hanging-{number}")))
    await pause(70)
    records.start(desk.record(hello("new")))
    await pause(1)
    assert workflow_of("new") in desk.workflows.names_for_test()
    await records.close(grace=0)


async def test_hanging_records_do_not_delay_those_that_could_proceed() -> None:
    """200 that hang for 15 s do not share slots with those that fail at once."""
    desk, outage = Desk(), True
    stuck = {workflow_of(f"hanging-{number}") for number in range(200)}

    async def step(name: str) -> None:
        if name in stuck:
            await time_out(name)
        if outage:
            raise ApiUnavailableError("503")

    desk.before_create(step)
    records = in_flight_records(desk)
    quick = {workflow_of(f"order-{number}") for number in range(10)}
    for number in range(10):
        records.start(desk.record(hello(f"order-{number}")))
    await pause(10)
    for number in range(200):
        records.start(desk.record(hello(f"hanging-{number}")))
    await pause(1200)
    outage, healed = False, asyncio.get_running_loop().time()
    await until(lambda: quick <= desk.workflows.names_for_test())
    # Their pauses are of 30 s at most.
    assert asyncio.get_running_loop().time() - healed < 60
    await records.close(grace=0)


async def test_a_record_decoded_again_does_not_wait_for_its_own_room() -> None:
    """After a bug in decoding."""
    budget = small_budget(size=100)
    decoded: list[int] = []

    async def decode_twice() -> None:
        for _ in range(2):
            await budget.reserve_decoded(60)
            decoded.append(60)

    task: asyncio.Task[object] = asyncio.create_task(decode_twice())
    budget.admit(task, size=1)
    await until(task.done)
    assert decoded == [60, 60]
