"""A tenant moves to another namespace by the steps of docs/namespaces.md, whatever else happens.

Any order of requests, rebalances between dispatchers of both mappings, crashes, frozen owners, late
creates and lost answers: every request becomes one Workflow, in one of the two namespaces. Time is
virtual. Two dispatchers have a partition each, and one after the other gets the new mapping.
"""

import asyncio
import random
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_argo import metadata
from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_dispatcher.bootstrap import load_builder
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.pauses import NO_PAUSES, Pauses
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.dedupe import DedupeSettings
from tests.support.dispatcher import NOW, Desk, FakeLedger, hello
from tests.support.slow_creates import SlowWorkflows, Way
from tests.unit.dispatcher.test_slot_simulation import cancel, end_later
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.looptime]

DEDUPE = DedupeSettings()
BEFORE = DispatcherSettings()
MOVED = DispatcherSettings.model_validate(
    {"kubernetes": {"tenants": {"acme": {"namespace": "acme-runs", "moved_from": ["argo"]}}}}
)
BUILDERS = {id(each): load_builder(each) for each in (BEFORE, MOVED)}
PAUSED = Pauses(tenants={"acme": "paused: it moves"})
RUNS = 8
SIMULATIONS = 10


class CountedWorkflows(SlowWorkflows):
    """Notes the name of each Workflow that is created."""

    def __init__(self, namespace: str) -> None:
        super().__init__(create_timeout=DEDUPE.create_timeout, namespace=namespace)
        self.created: list[str] = []

    async def _record(self, change: Any) -> None:
        await super()._record(change)
        if change.before is None:
            self.created.append(change.after["metadata"]["name"])


class Partition:
    """The records of one partition, and the dispatcher that owns it."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.log: list[IncomingRecord] = []
        self.next_offset = 0
        self.reading = asyncio.Lock()
        self.start(BEFORE, first=True)

    def start(self, settings: DispatcherSettings, *, first: bool = False) -> None:
        self.settings, world = settings, self.world
        self.desk = Desk(
            settings=settings,
            builder=BUILDERS[id(settings)],
            workflows=world.old,
            elsewhere=[world.new],
            ledger=world.ledger,
            clock=asyncio.get_running_loop().time,
            first_reader=first,
            # Those of before need not know of the pause yet.
            joined=world.pauses if settings is MOVED else lambda _: NO_PAUSES,
        )
        self.desk.now_for_test = NOW
        self.tasks = [asyncio.create_task(self.desk.admission.run())]
        world.tasks += self.tasks
        self.records = InFlightRecords(
            self.desk.handler.handle, budget=self.desk.budget, most_uncommitted=5000
        )

    async def deliver(self, document: Any) -> None:
        async with self.reading:
            at = int(1000 * asyncio.get_running_loop().time())
            record = self.desk.record(document, offset=len(self.log), timestamp_ms=at)
            self.log.append(record)
            self.records.start(record)

    async def change_owner(self, settings: DispatcherSettings) -> None:
        """Let another dispatcher go on; the old one may be frozen out and not know it."""
        rng = self.world.rng
        async with self.reading:
            if rng.random() < 0.4:
                zombie = asyncio.create_task(end_later(self.records, self.tasks, rng))
                self.world.zombies.append(zombie)
            else:
                await self.records.close(grace=rng.choice([0.0, 20.0]))
                cancel(self.tasks)
            self.commit()
            await pause(rng.uniform(0.5, 20))
            self.start(settings)
            for record in self.log[self.next_offset :]:
                self.records.start(record)
                await pause(rng.choice([0.0, 0.0, rng.uniform(0, 5)]))

    def commit(self) -> None:
        place = TopicPartition("sluice.requests", 0)
        self.next_offset = max(self.next_offset, self.records.committable().get(place, 0))


class World:
    """One cluster with two namespaces, one ledger, two partitions."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - chooses faults
        self.old, self.new = CountedWorkflows("argo"), CountedWorkflows("acme-runs")
        self.ledger = FakeLedger()
        self.is_paused = False
        self.mappings = [BEFORE]
        self.zombies: list[asyncio.Task[None]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.partitions = [Partition(self, number) for number in range(2)]

    def pauses(self, _: Pauses) -> Pauses:
        return PAUSED if self.is_paused else NO_PAUSES

    async def run(self) -> None:
        argo = [asyncio.create_task(self._end_runs(each)) for each in (self.old, self.new)]
        faults = asyncio.create_task(self._make_trouble())
        moving = asyncio.create_task(self._move())
        for number in range(RUNS):
            partition = self.rng.choice(self.partitions)
            await partition.deliver(hello(f"run-{number}", tenant="acme"))
            await pause(self.rng.choice([0.0, self.rng.uniform(0, 40)]))
        await asyncio.gather(faults, moving)
        async with asyncio.timeout(7200):
            while any(partition.records.count for partition in self.partitions):
                await pause(5)
        await asyncio.gather(*self.zombies)
        for each in (self.old, self.new):
            await each.landed_for_test()
        async with asyncio.timeout(7200):
            while self.old.names_for_test() or self.new.names_for_test():
                await pause(5)
        for partition in self.partitions:
            partition.commit()
        cancel([*argo, *self.tasks])

    async def _move(self) -> None:
        """Follow the steps of the page."""
        await pause(self.rng.uniform(0, 100))
        self.is_paused = True
        self.mappings = [BEFORE, MOVED]
        for partition in self.rng.sample(self.partitions, 2):
            await partition.change_owner(MOVED)
            await pause(self.rng.uniform(0, 30))
        self.mappings = [MOVED]
        for partition in self.partitions:
            async with partition.reading:
                is_behind = partition.settings is BEFORE
            if is_behind:
                await partition.change_owner(MOVED)
        # All pods are new once those of before are gone.
        await asyncio.gather(*self.zombies)
        await pause(DEDUPE.release_after.total_seconds())
        self.is_paused = False

    async def _make_trouble(self) -> None:
        for _ in range(self.rng.randrange(3, 8)):
            await pause(self.rng.uniform(0, 60))
            match self.rng.randrange(3):
                case 0:
                    self.old.slow_for_test(self._way(), self._way())
                    self.new.slow_for_test(self._way())
                case 1:
                    self.rng.choice([self.old, self.new]).lose_answers_for_test("create")
                case _:
                    partition = self.rng.choice(self.partitions)
                    await partition.change_owner(self.rng.choice(self.mappings))

    def _way(self) -> Way:
        return Way(
            travel=self.rng.uniform(0, 13),
            admission=self.rng.uniform(0, 13),
            apply=self.rng.uniform(0, 9),
        )

    async def _end_runs(self, workflows: CountedWorkflows) -> None:
        """Play Argo and the status-watcher: end Workflows, publish, and delete later."""
        ends: dict[str, asyncio.Task[None]] = {}
        while True:
            for name in workflows.names_for_test():
                uid = workflows.object_for_test(name)["metadata"]["uid"]
                if uid not in ends:
                    ends[uid] = asyncio.create_task(self._end(workflows, name))
            await pause(1)

    async def _end(self, workflows: CountedWorkflows, name: str) -> None:
        await pause(self.rng.uniform(0, 200))
        metadata_of = workflows.object_for_test(name)["metadata"]
        annotations = metadata_of["annotations"]
        key = RunKey(metadata_of["labels"][metadata.TENANT], annotations[metadata.RUN_ID])
        self.ledger.outcomes_for_test[key] = LedgerEntry(
            fingerprint=annotations[metadata.FINGERPRINT], phase=Phase.SUCCEEDED
        )
        await pause(DEDUPE.release_after.total_seconds() + self.rng.uniform(0, 60))
        await workflows.remove_for_test(name)


@pytest.mark.parametrize("block", range(4))
async def test_every_request_of_a_tenant_that_moves_becomes_one_workflow(block: int) -> None:
    before, after = 0, 0
    for seed in range(block * SIMULATIONS, (block + 1) * SIMULATIONS):
        world = World(seed)
        await world.run()
        created = world.old.created + world.new.created
        assert len(created) == len(set(created)), f"seed {seed}: a run began twice"
        assert len(created) == len(world.ledger.outcomes_for_test) == RUNS, f"seed {seed}: lost"
        for partition in world.partitions:
            assert partition.next_offset == len(partition.log), f"seed {seed}: not committed"
        before += len(world.old.created)
        after += len(world.new.created)
    assert before > SIMULATIONS
    assert after > SIMULATIONS
