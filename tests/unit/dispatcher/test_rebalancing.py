"""When partitions go to somebody else, their work is finished first, and committed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.adapters.in_flight_records import Assignment
from sluice_dispatcher.adapters.request_consumer import Pump
from sluice_dispatcher.services.in_flight_budget import InFlight, Limit
from sluice_runtime.kafka.consumer import incoming
from tests.unit.dispatcher.fake_group_consumer import FakeGroupConsumer, Fetched

pytestmark = pytest.mark.looptime

ROOM = Limit(records=10, size=1000)
GRACE = 20.0


class Work:
    """Records that were begun and finished; each waits until the gate is open."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.gate = asyncio.Event()
        self._changed = asyncio.Condition()

    async def handle(self, record: IncomingRecord) -> None:
        self.begun.append(record.position.offset)
        async with self._changed:
            self._changed.notify_all()
        await self.gate.wait()

    async def until_begun(self, *offsets: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.begun == list(offsets))


@contextlib.asynccontextmanager
async def pumping(work: Work) -> AsyncIterator[FakeGroupConsumer]:
    """Run a pump that commits by itself only after an hour."""
    consumer = FakeGroupConsumer()
    in_flight = InFlight(working=ROOM, waiting=ROOM)
    pump = pump_of(consumer, work.handle, in_flight=in_flight)
    running = asyncio.create_task(pump.run())
    try:
        yield consumer
    finally:
        work.gate.set()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def pump_of(
    consumer: FakeGroupConsumer,
    handle: Callable[[IncomingRecord], Awaitable[None]],
    *,
    in_flight: InFlight,
) -> Pump:
    def make() -> Any:
        return consumer

    async def begin(record: IncomingRecord) -> None:
        in_flight.go_on()
        await handle(record)

    return Pump(
        topic="requests",
        make_consumer=make,
        handle=begin,
        in_flight=in_flight,
        most_uncommitted=5,
        commit_interval=timedelta(hours=1),
        drain_grace=timedelta(seconds=GRACE),
    )


async def moments() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_partition_goes_after_its_work_is_finished_and_committed() -> None:
    work = Work()
    async with pumping(work) as consumer:
        consumer.fetch_for_test(7, 8)
        await work.until_begun(7, 8)
        revoking = asyncio.create_task(consumer.revoke_for_test())
        await moments()
        assert not revoking.done()
        work.gate.set()
        await revoking
        assert consumer.log == ["committed 9", "revoked"]


async def test_a_partition_goes_after_the_grace_with_what_is_finished() -> None:
    work = Work()
    async with pumping(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
        started = asyncio.get_running_loop().time()
        await consumer.revoke_for_test()
        assert asyncio.get_running_loop().time() - started == GRACE
        # It was given up, so it is not committed.
        assert consumer.log == ["revoked"]


async def test_what_is_read_while_a_partition_goes_is_left_to_the_next_owner() -> None:
    work = Work()
    async with pumping(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
        revoking = asyncio.create_task(consumer.revoke_for_test())
        await moments()
        consumer.fetch_for_test(8)
        await moments()
        work.gate.set()
        await revoking
        await moments()
        assert work.begun == [7]
        assert consumer.log == ["committed 8", "revoked"]


async def test_after_a_rebalance_work_goes_on() -> None:
    work = Work()
    work.gate.set()
    async with pumping(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
        await consumer.revoke_for_test()
        await consumer.assign_for_test()
        # The partition is read from what was committed; an older owner's offsets come again.
        consumer.fetch_for_test(7, 8)
        await work.until_begun(7, 7, 8)


async def test_stopping_commits_what_is_finished() -> None:
    work = Work()
    async with pumping(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
    assert consumer.log == ["committed 8"]
    assert consumer.state == "stopped"


async def test_a_closed_assignment_begins_nothing() -> None:
    work = Work()
    assignment = Assignment(
        work.handle, in_flight=InFlight(working=ROOM, waiting=ROOM), most_uncommitted=10
    )
    assignment.take(incoming(Fetched(7)))
    await work.until_begun(7)
    work.gate.set()
    await assignment.close(grace=GRACE)
    assignment.take(incoming(Fetched(8)))
    await moments()
    assert work.begun == [7]
    assert assignment.in_flight == 0
