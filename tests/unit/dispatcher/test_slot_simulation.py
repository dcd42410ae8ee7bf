"""Any order of requests, retries, ends, crashes, frozen owners, late creates and lost answers.

Of one key, one run is live at a time; every request ends in one Workflow; every slot and every
place among the live runs is freed. Time is virtual. Two dispatchers have a partition each. One
dies, or is taken for dead and goes on, at any moment; the next owner reads all that was not
committed. What was sent goes on without its sender. The cluster refuses some retries.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_argo import metadata
from sluice_argo.json_patch import Operation
from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.services.live_watch import LiveWatch
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.kubernetes.errors import ApiUnavailableError, RefusedError
from sluice_runtime.live_limits import Limits
from tests.support.dispatcher import NOW, Desk, FakeLedger, hello
from tests.support.fake_slots import FakeSlots
from tests.support.limited_workflow import limited_builder
from tests.support.slow_creates import SlowWorkflows, Way
from tests.unit.runtime.clock import pause

pytestmark = [pytest.mark.looptime]

DEDUPE = DedupeSettings()
BUILDER = limited_builder()
NAMES = ("Ada", "Grace")
ENDED = "2026-01-01T00:00:00Z"
RUNS = 8
SIMULATIONS = 12


class CheckedWorkflows(SlowWorkflows):
    """Counts, at every change, the live Workflows of each key; refuses and delays some retries."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(create_timeout=DEDUPE.create_timeout)
        self.rng = rng
        self.most_live = 0
        self.created = 0
        self.refused = 0

    async def patch(self, name: str, operations: Sequence[Operation]) -> dict[str, Any]:
        if any(each["path"].startswith("/status") for each in operations):
            # The sender may be suspended.
            await pause(self.rng.choice([0.0, 0.0, self.rng.uniform(0, 60)]))
            if self.rng.random() < 0.3:
                self.refused += 1
                raise RefusedError("PATCH: 422 Invalid", status=422, reason="Invalid")
        return await super().patch(name, operations)

    async def _record(self, change: Any) -> None:
        await super()._record(change)
        self.created += change.before is None
        live = Counter(
            obj["metadata"]["annotations"][metadata.SLOT]
            for obj in self._objects.values()
            if not is_finished(obj)
        )
        self.most_live = max(self.most_live, *live.values(), 0)


def is_finished(obj: dict[str, Any]) -> bool:
    return (obj.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


class Partition:
    """The records of one partition, and the dispatcher that owns it."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.log: list[IncomingRecord] = []
        self.next_offset = 0
        self.reading = asyncio.Lock()
        self.tasks: list[asyncio.Task[None]] = []
        self.desk, self.records = self._dispatcher(first=True)

    def _dispatcher(self, *, first: bool) -> tuple[Desk, InFlightRecords]:
        world = self.world
        desk = Desk(
            workflows=world.workflows,
            ledger=world.ledger,
            slots=world.slots,
            builder=BUILDER,
            clock=asyncio.get_running_loop().time,
            first_reader=first,
            is_counting=True,
        )
        desk.now_for_test = NOW
        desk.limits_for_test = Limits(live=world.limit)
        watch = LiveWatch(world.workflows, admission=desk.admission, slots=desk.slots)
        self.tasks = [
            asyncio.create_task(each)
            for each in (watch.run(), desk.admission.run(), desk.slots.run())
        ]
        world.tasks += self.tasks
        records = InFlightRecords(desk.handler.handle, budget=desk.budget, most_uncommitted=5000)
        return desk, records

    async def deliver(self, document: Any) -> None:
        async with self.reading:
            at = int(1000 * asyncio.get_running_loop().time())
            record = self.desk.record(document, offset=len(self.log), timestamp_ms=at)
            self.log.append(record)
            self.records.start(record)

    async def change_owner(self) -> None:
        """Let another dispatcher go on; the old one may be frozen out and not know it."""
        rng = self.world.rng
        async with self.reading:
            old, tasks = self.records, self.tasks
            if rng.random() < 0.4:
                self.world.zombies.append(asyncio.create_task(end_later(old, tasks, rng)))
            else:
                await old.close(grace=rng.choice([0.0, 20.0]))
                cancel(tasks)
            self.commit()
            await pause(rng.uniform(0.5, 40))
            self.desk, self.records = self._dispatcher(first=False)
            for record in self.log[self.next_offset :]:
                self.records.start(record)
                await pause(rng.choice([0.0, 0.0, rng.uniform(0, 5)]))

    def commit(self) -> None:
        place = TopicPartition("sluice.requests", 0)
        self.next_offset = max(self.next_offset, self.records.committable().get(place, 0))


def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def end_later(
    records: InFlightRecords, tasks: list[asyncio.Task[None]], rng: random.Random
) -> None:
    await pause(rng.uniform(0, 100))
    await records.close(grace=0)
    cancel(tasks)


class World:
    """One cluster, one ledger, two partitions."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - chooses faults
        self.limit = self.rng.choice([None, 1, 3])
        self.workflows = CheckedWorkflows(self.rng)
        self.ledger = FakeLedger()
        self.slots = FakeSlots()
        self.slots.trouble_for_test = self._trouble
        self.troubled = True
        self.zombies: list[asyncio.Task[None]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.ends: set[asyncio.Task[None]] = set()
        self.retried: set[str] = set()
        self.partitions = [Partition(self, number) for number in range(2)]

    async def _trouble(self) -> None:
        await pause(self.rng.choice([0.0, self.rng.uniform(0, 3)]))
        if self.troubled and self.rng.random() < 0.1:
            raise ApiUnavailableError("the answer was lost")

    async def run(self) -> None:
        argo = asyncio.create_task(self._end_runs())
        faults = asyncio.create_task(self._make_trouble())
        for number in range(RUNS):
            partition = self.rng.choice(self.partitions)
            await partition.deliver(hello(f"run-{number}", name=self.rng.choice(NAMES)))
            await pause(self.rng.choice([0.0, self.rng.uniform(0, 30)]))
        await faults
        self.troubled = False
        async with asyncio.timeout(7200):
            while any(partition.records.count for partition in self.partitions):
                await pause(5)
        await asyncio.gather(*self.zombies)
        await self.workflows.landed_for_test()
        async with asyncio.timeout(7200):
            while self.workflows.names_for_test():
                await pause(5)
        # The slots of runs that have ended are swept now and then.
        await pause(700)
        for partition in self.partitions:
            partition.commit()
        cancel([argo, *self.tasks])

    async def _make_trouble(self) -> None:
        for _ in range(self.rng.randrange(2, 6)):
            await pause(self.rng.uniform(0, 60))
            match self.rng.randrange(4):
                case 0:
                    self.workflows.slow_for_test(self._way(), self._way())
                case 1:
                    self.workflows.lose_answers_for_test("create")
                case 2:
                    await self.rng.choice(self.partitions).change_owner()
                case _:
                    self.workflows.drop_streams_for_test()

    def _way(self) -> Way:
        return Way(
            travel=self.rng.uniform(0, 13),
            admission=self.rng.uniform(0, 13),
            apply=self.rng.uniform(0, 9),
        )

    async def _end_runs(self) -> None:
        """Play Argo and the status-watcher: end live Workflows, publish, and delete later."""
        ending: set[str] = set()
        while True:
            for name in self.workflows.names_for_test():
                obj = self.workflows.object_for_test(name)
                if not is_finished(obj) and name not in ending:
                    ending.add(name)
                    end = asyncio.create_task(self._end(name, ending))
                    self.ends.add(end)
            await pause(1)

    async def _end(self, name: str, ending: set[str]) -> None:
        await pause(self.rng.choice([0.0, self.rng.uniform(0, 60)]))
        phase = self.rng.choice(["Succeeded", "Failed"])

        def finish(obj: dict[str, Any]) -> None:
            obj["metadata"]["labels"][metadata.COMPLETED] = "true"
            obj["status"] = {**(obj.get("status") or {}), "phase": phase, "finishedAt": ENDED}

        def publish(obj: dict[str, Any]) -> None:
            obj["metadata"]["annotations"][metadata.PUBLISHED] = f"1/{phase}@{ENDED}"

        obj = await self.workflows.change_for_test(name, finish)
        await pause(self.rng.uniform(0, 10))
        annotations = obj["metadata"]["annotations"]
        key = RunKey(obj["metadata"]["labels"][metadata.TENANT], annotations[metadata.RUN_ID])
        self.ledger.outcomes_for_test[key] = LedgerEntry(
            fingerprint=annotations[metadata.FINGERPRINT], phase=Phase(phase)
        )
        await self.workflows.change_for_test(name, publish)
        ending.discard(name)
        if phase == "Failed" and name not in self.retried:
            self.retried.add(name)
            await self.rng.choice(self.partitions).deliver({"type": "retry", "id": key.run_id})
        await pause(DEDUPE.release_after.total_seconds() + self.rng.uniform(0, 60))
        is_gone = name not in self.workflows.names_for_test()
        if not is_gone and name not in ending and is_finished(self.workflows.object_for_test(name)):
            await self.workflows.remove_for_test(name)


@pytest.mark.parametrize("block", range(4))
async def test_one_run_of_a_key_is_live_whatever_happens(block: int) -> None:
    retried = refused = 0
    for seed in range(block * SIMULATIONS, (block + 1) * SIMULATIONS):
        world = World(seed)
        await world.run()
        assert world.workflows.most_live == 1, f"seed {seed}: two live runs of a key"
        ended = world.ledger.outcomes_for_test
        assert len(ended) == RUNS, f"seed {seed}: runs are lost"
        assert world.workflows.created == RUNS, f"seed {seed}: a run began twice"
        assert world.slots.states_for_test == {}, f"seed {seed}: a slot is not freed"
        for partition in world.partitions:
            assert partition.next_offset == len(partition.log), f"seed {seed}: not committed"
            assert partition.desk.admission.queue.live == 0, f"seed {seed}: a place is not freed"
            assert len(partition.desk.admission.queue) == 0
        retried += len(world.retried)
        refused += world.workflows.refused
    assert retried
    assert refused
