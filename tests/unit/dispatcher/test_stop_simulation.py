"""Any order of a request, a stop, lost answers, late creates and crashes: one outcome.

Time is virtual. A dispatcher dies or hands its partition over at any moment, and the next one reads
all that was not committed. A create that was sent goes on without its sender.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import NOW, Desk, FakeLedger, hello
from tests.support.slow_creates import SlowWorkflows, Way
from tests.unit.dispatcher.test_overload import workflow_of
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.looptime]

KEY = RunKey("default", "order-1")
WORKFLOW = workflow_of("order-1")
PARTITION = TopicPartition("sluice.requests", 0)
DEDUPE = DedupeSettings()
SIMULATIONS = 40


class Topics:
    """The status and results topics; a writer may die before it gets its answer."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.ledger = FakeLedger()
        self.status: list[PublishedEvent] = []
        self.results: list[PublishedEvent] = []

    def connect(self, desk: Desk) -> None:
        async def publish_result(published: PublishedEvent) -> None:
            await self._written(lambda: self._result(published))

        async def publish_status(published: PublishedEvent) -> None:
            await self._written(lambda: self._status(published))

        desk.publisher.publish_result = publish_result  # type: ignore[method-assign]
        desk.publisher.publish_status = publish_status  # type: ignore[method-assign]

    async def _written(self, write: Callable[[], Awaitable[None]]) -> None:
        await pause(self._rng.uniform(0, 2))
        if self._rng.random() < 0.2:
            raise KafkaUnavailableError("no broker")
        await write()
        await pause(self._rng.uniform(0, 2))
        if self._rng.random() < 0.2:
            raise KafkaUnavailableError("the answer was lost")

    async def _result(self, published: PublishedEvent) -> None:
        self.results.append(published)
        await self.ledger.record(published)

    async def _status(self, published: PublishedEvent) -> None:
        self.status.append(published)


class World:
    """One run, its stop, and the dispatchers one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - chooses faults
        self.workflows = SlowWorkflows(create_timeout=DEDUPE.create_timeout)
        self.topics = Topics(self.rng)
        self.forbidden_until = self.rng.choice([0.0, self.rng.uniform(0, 200)])
        self.log: list[IncomingRecord] = []
        self.next_offset = 0
        self.reading = asyncio.Lock()
        self.began = asyncio.get_running_loop().time()
        self.desk, self.records = self._dispatcher(first=True)
        self.request = self.desk.record(hello("order-1"), offset=0)
        self.stop = self.desk.record({"type": "stop", "id": "order-1"}, offset=1)

    @property
    def passed(self) -> float:
        return asyncio.get_running_loop().time() - self.began

    def _dispatcher(self, *, first: bool) -> tuple[Desk, InFlightRecords]:
        desk = Desk(
            workflows=self.workflows,
            ledger=self.topics.ledger,
            clock=asyncio.get_running_loop().time,
            first_reader=first,
        )
        desk.now_for_test = NOW
        self.topics.connect(desk)
        records = InFlightRecords(desk.handler.handle, budget=desk.budget, most_uncommitted=5000)
        return desk, records

    async def deliver(self, record: IncomingRecord) -> None:
        async with self.reading:
            self.log.append(record)
            self.records.start(record)

    async def change_owner(self) -> None:
        """Let the dispatcher die, or give its partition up; another one goes on later."""
        async with self.reading:
            await self.records.close(grace=self.rng.choice([0.0, 0.0, 20.0]))
            self.commit()
            await pause(self.rng.uniform(0.5, 60))
            self.desk, self.records = self._dispatcher(first=False)
            for record in self.log[self.next_offset :]:
                self.records.start(record)
                await pause(self.rng.choice([0.0, 0.0, self.rng.uniform(0, 5)]))

    def commit(self) -> None:
        committed = self.records.committable().get(PARTITION, 0)
        self.next_offset = max(self.next_offset, committed)

    async def make_trouble(self) -> None:
        for _ in range(self.rng.randrange(4)):
            await pause(self.rng.uniform(0, 60))
            match self.rng.randrange(3):
                case 0:
                    self.workflows.slow_for_test(self._way(), self._way())
                case 1:
                    self.workflows.lose_answers_for_test("create")
                case _:
                    await self.change_owner()

    def _way(self) -> Way:
        longest = DEDUPE.create_timeout / timedelta(seconds=1)
        return Way(
            travel=self.rng.uniform(0, longest * 0.9),
            admission=self.rng.uniform(0, longest * 0.9),
            apply=self.rng.uniform(0, 9),
        )

    async def run(self) -> None:
        create = self.workflows.create

        async def refusing(manifest: Any) -> Any:
            if self.passed < self.forbidden_until:
                raise ApiUnavailableError("403 Forbidden", status=403)
            return await create(manifest)

        self.workflows.create = refusing  # type: ignore[method-assign]
        if self.rng.random() < 0.5:
            self.workflows.slow_for_test(self._way())
        await self.deliver(self.request)
        trouble = asyncio.create_task(self.make_trouble())
        await pause(self.rng.choice([0.0, self.rng.uniform(0, 3), self.rng.uniform(0, 150)]))
        await self.deliver(self.stop)
        await trouble
        async with asyncio.timeout(3600):
            while self.records.count:
                await pause(1)
        self.commit()
        await pause(120)
        await self.workflows.landed_for_test()


def verdict(world: World) -> str:
    """Return how the run ended.

    Raises:
        AssertionError: it has not exactly one outcome.
    """
    outcomes = [*world.topics.results, *world.topics.status]
    assert world.next_offset == 2
    if world.workflows.names_for_test():
        assert outcomes == [], "Rejected beside a Workflow"
        workflow = world.workflows.object_for_test(WORKFLOW)
        # Uids are counted: no other one was ever created.
        assert workflow["metadata"]["uid"] == "uid-1"
        assert workflow["spec"]["shutdown"] == "Stop"
        assert world.desk.publisher.refusals_for_test == []
        return "stopped"
    assert world.topics.results, "the run vanished"
    assert world.topics.status, "the status topic lacks the outcome"
    assert len({published.event.event_id for published in outcomes}) == 1
    [problem] = {published.event.problem for published in outcomes if published.event.problem}
    assert problem.type is ProblemType.CANCELLED
    assert world.desk.publisher.refusals_for_test == []
    return "cancelled"


@pytest.mark.parametrize("block", range(5))
async def test_a_run_that_is_stopped_has_one_outcome_whatever_happens(block: int) -> None:
    seen = set()
    for seed in range(block * SIMULATIONS, (block + 1) * SIMULATIONS):
        world = World(seed)
        await world.run()
        try:
            seen.add(verdict(world))
        except AssertionError as e:
            raise AssertionError(f"seed {seed}: {e}") from e
    assert seen == {"stopped", "cancelled"}
