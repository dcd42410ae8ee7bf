"""Reading pauses when there is no room, and `/readyz` says why."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.adapters.request_consumer import RequestConsumer
from sluice_dispatcher.domain.wait_reason import WaitReason
from tests.support.dispatcher import small_budget
from tests.unit.dispatcher.fake_group_consumer import PARTITION, FakeGroupConsumer, Fetched
from tests.unit.dispatcher.test_rebalancing import request_consumer_of
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime


class Desk:
    """Records that are active until a test orders them to wait or to finish."""

    def __init__(
        self,
        *,
        active: int,
        waiting: int,
        consumer: FakeGroupConsumer | None = None,
        topics: tuple[str, ...] = (PARTITION.topic,),
    ) -> None:
        self.budget = small_budget(active=active, waiting=waiting, topics=len(topics))
        self.consumer = consumer or FakeGroupConsumer()
        self.request_consumer: RequestConsumer = request_consumer_of(
            self.consumer, self._handle, budget=self.budget, topics=topics
        )
        self._orders: dict[int, asyncio.Queue[str]] = {}

    async def _handle(self, record: IncomingRecord) -> None:
        orders = self._orders[record.position.offset] = asyncio.Queue()
        while (order := await orders.get()) != "finish":
            if order == "fail":
                raise ZeroDivisionError
            self.budget.mark_waiting(WaitReason.FORBIDDEN)

    async def order(self, order: str, *offsets: int) -> None:
        for offset in offsets:
            self._orders[offset].put_nowait(order)
        await self.until(lambda: all(self._orders[offset].empty() for offset in offsets))

    async def until(self, condition: object) -> None:
        """Let virtual time pass until it holds."""
        assert callable(condition)
        async with asyncio.timeout(120):
            while not condition():
                await pause(0.1)

    async def until_paused(self, *, paused: bool) -> None:
        await self.until(lambda: (PARTITION in self.consumer.paused()) is paused)


@contextlib.asynccontextmanager
async def consuming(desk: Desk) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(desk.request_consumer.run())
    try:
        yield running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, ZeroDivisionError):
            await running


async def test_a_short_lack_of_room_pauses_nothing() -> None:
    """aiokafka would discard what it has fetched of a paused partition, and fetch it again."""
    desk = Desk(active=2, waiting=9)
    async with consuming(desk):
        desk.consumer.fetch_for_test(0, 1, 2)
        await desk.until(lambda: desk.budget.full)
        await desk.order("finish", 0)
        await desk.until(lambda: desk.budget.full)
        await desk.order("finish", 1, 2)
        await desk.until(lambda: not desk.budget.full)
    assert "paused" not in desk.consumer.log


async def test_active_records_stop_reading_and_leave_the_consumer_ready() -> None:
    desk = Desk(active=2, waiting=9)
    async with consuming(desk):
        desk.consumer.fetch_for_test(0, 1)
        await desk.until_paused(paused=True)
        assert desk.request_consumer.waiting_for() is None
        await desk.order("finish", 0)
        await desk.until_paused(paused=False)


async def test_waiting_records_make_room_until_readiness_names_their_reasons() -> None:
    desk = Desk(active=2, waiting=2)
    async with consuming(desk):
        desk.consumer.fetch_for_test(0, 1)
        await desk.until_paused(paused=True)
        await desk.order("wait", 0)
        await desk.until_paused(paused=False)
        assert desk.request_consumer.waiting_for() is None
        await desk.order("wait", 1)
        await desk.until_paused(paused=True)
        assert (
            desk.request_consumer.waiting_for()
            == "2 records wait and no more are read (forbidden: 2)"
        )
        await desk.order("finish", 0)
        await desk.until_paused(paused=False)
        assert desk.request_consumer.waiting_for() is None


async def test_a_partition_behind_a_stuck_record_is_paused_and_readiness_says_so() -> None:
    desk = Desk(active=9, waiting=9)
    async with consuming(desk):
        desk.consumer.fetch_for_test(*range(5))
        await desk.until(lambda: desk.budget.active == 5)
        await desk.order("wait", 0)
        await desk.order("finish", 1, 2, 3, 4)
        await desk.until_paused(paused=True)
        assert desk.request_consumer.waiting_for() == (
            "partition 0 is paused: 5 records behind offset 0, which is not finished, "
            "cannot be committed"
        )
        await desk.order("finish", 0)
        await desk.until_paused(paused=False)
        assert desk.request_consumer.waiting_for() is None


DOOR = TopicPartition("requests.acme", 0)


class WithDoor(FakeGroupConsumer):
    """Has a partition of another topic too, and reads each record from where a test put it."""

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION, DOOR}

    async def getmany(self, **polled: Any) -> Any:
        batches = await super().getmany(**polled)
        return {
            tp: [each for each in batches.get(PARTITION, []) if each.topic == tp.topic]
            for tp in (PARTITION, DOOR)
        }

    def fetch_of_for_test(self, topic: str, *offsets: int) -> None:
        """Let the next poll give these records of a topic."""
        self._fetched += [Fetched(offset, topic=topic) for offset in offsets]
        self._arrived.set()


async def test_a_door_without_room_is_paused_alone() -> None:
    consumer = WithDoor()
    topics = (PARTITION.topic, DOOR.topic)
    desk = Desk(active=9, waiting=2, consumer=consumer, topics=topics)
    async with consuming(desk):
        consumer.fetch_of_for_test(DOOR.topic, 0, 1)
        await desk.until(lambda: desk.budget.active == 2)
        await desk.order("wait", 0, 1)
        await desk.until(lambda: consumer.paused() == {DOOR})
        assert desk.request_consumer.waiting_for() is None
        assert desk.request_consumer.degraded() == "too many records wait of requests.acme"
        consumer.fetch_of_for_test(PARTITION.topic, 10)
        await desk.until(lambda: desk.budget.active == 1)
        await desk.order("finish", 0, 10)
        await desk.until(lambda: not consumer.paused())
        assert desk.request_consumer.degraded() is None
        await desk.order("finish", 1)


class Rebalancing(FakeGroupConsumer):
    """Reads once; then its group has no coordinator, and a poll does not come back."""

    async def getmany(self, **polled: Any) -> Any:
        if "polled" in self.log:
            await asyncio.Event().wait()
        self.log.append("polled")
        return await super().getmany(**polled)


async def test_a_rebalance_that_does_not_end_shows_in_readiness() -> None:
    desk = Desk(active=9, waiting=9, consumer=Rebalancing())
    async with consuming(desk):
        desk.consumer.fetch_for_test(0)
        await desk.until(lambda: desk.budget.active == 1)
        assert desk.request_consumer.waiting_for() is None
        await desk.until(lambda: desk.request_consumer.waiting_for() is not None)
        assert "has not been polled for 9" in str(desk.request_consumer.waiting_for())


async def test_a_failure_of_a_records_task_ends_the_consumer() -> None:
    desk = Desk(active=9, waiting=9)
    async with consuming(desk) as running:
        desk.consumer.fetch_for_test(0)
        await desk.until(lambda: desk.budget.active == 1)
        await desk.order("fail", 0)
        with pytest.raises(ZeroDivisionError):
            await running
