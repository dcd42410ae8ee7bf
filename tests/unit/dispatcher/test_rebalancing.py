"""Before a partition gets another owner, its records are finished and committed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_dispatcher.adapters.request_consumer import RequestConsumer
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_runtime.kafka.consumer import incoming
from tests.support.dispatcher import small_budget
from tests.unit.dispatcher.fake_group_consumer import FakeGroupConsumer, Fetched

pytestmark = pytest.mark.looptime

GRACE = 20.0


class Work:
    """Records that were begun and finished; each waits until the gate is open."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.assignments = 0
        self.gate = asyncio.Event()
        self._changed = asyncio.Condition()

    def assigned(self) -> None:
        self.assignments += 1

    async def handle(self, record: IncomingRecord) -> None:
        self.begun.append(record.position.offset)
        async with self._changed:
            self._changed.notify_all()
        await self.gate.wait()

    async def until_begun(self, *offsets: int) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.begun == list(offsets))


@contextlib.asynccontextmanager
async def consuming(work: Work) -> AsyncIterator[FakeGroupConsumer]:
    """Run a request_consumer that commits by itself only after an hour."""
    consumer = FakeGroupConsumer()
    request_consumer = request_consumer_of(
        consumer, work.handle, budget=small_budget(), on_assigned=work.assigned
    )
    running = asyncio.create_task(request_consumer.run())
    try:
        yield consumer
    finally:
        work.gate.set()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def request_consumer_of(
    consumer: FakeGroupConsumer,
    handle: Callable[[IncomingRecord], Awaitable[None]],
    *,
    budget: InFlightBudget,
    on_assigned: Callable[[], None] = lambda: None,
    topics: Sequence[str] = ("requests",),
) -> RequestConsumer:
    def make() -> Any:
        return consumer

    async def begin(record: IncomingRecord) -> None:
        budget.mark_active()
        await handle(record)

    return RequestConsumer(
        topics=topics,
        make_consumer=make,
        handle=begin,
        budget=budget,
        most_uncommitted=5,
        commit_interval=timedelta(hours=1),
        drain_grace=timedelta(seconds=GRACE),
        on_assigned=on_assigned,
    )


async def moments() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_partition_is_revoked_after_its_records_are_finished_and_committed() -> None:
    work = Work()
    async with consuming(work) as consumer:
        consumer.fetch_for_test(7, 8)
        await work.until_begun(7, 8)
        revoking = asyncio.create_task(consumer.revoke_for_test())
        await moments()
        assert not revoking.done()
        work.gate.set()
        await revoking
        assert consumer.log == ["committed 9", "revoked"]


async def test_a_partition_is_revoked_after_the_grace_without_unfinished_records() -> None:
    work = Work()
    async with consuming(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
        started = asyncio.get_running_loop().time()
        await consumer.revoke_for_test()
        assert asyncio.get_running_loop().time() - started == GRACE
        # It was abandoned, so it is not committed.
        assert consumer.log == ["revoked"]


async def test_records_read_during_a_revocation_are_left_to_the_next_owner() -> None:
    work = Work()
    async with consuming(work) as consumer:
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


async def test_records_are_handled_after_a_rebalance() -> None:
    work = Work()
    work.gate.set()
    async with consuming(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
        assert work.assignments == 1
        await consumer.revoke_for_test()
        await consumer.assign_for_test()
        assert work.assignments == 2
        # The partition is read from what was committed; an older owner's offsets come again.
        consumer.fetch_for_test(7, 8)
        await work.until_begun(7, 7, 8)


async def test_stopping_commits_the_finished_records() -> None:
    work = Work()
    async with consuming(work) as consumer:
        consumer.fetch_for_test(7)
        await work.until_begun(7)
    assert consumer.log == ["committed 8"]
    assert consumer.state == "stopped"


async def test_closed_in_flight_records_start_nothing() -> None:
    work = Work()
    records = InFlightRecords(work.handle, budget=small_budget(), most_uncommitted=10)
    records.start(incoming(Fetched(7)))
    await work.until_begun(7)
    work.gate.set()
    await records.close(grace=GRACE)
    records.start(incoming(Fetched(8)))
    await moments()
    assert work.begun == [7]
    assert records.count == 0
