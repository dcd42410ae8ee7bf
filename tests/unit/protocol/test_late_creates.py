"""At most one Workflow per id, however late a create lands: dispatcher and status-watcher at once.

Everything between the two services is a stand-in: the API server, Kafka, and the dispatcher's
ledger, which is as far behind as its settings allow.
"""

import asyncio

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import Appended, OutgoingRecord
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import PublishedEvent, decode_status
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.verdict import Verdict
from sluice_runtime.deadlines import Deadline
from sluice_runtime.dedupe import DedupeSettings
from tests.support.dispatcher import Desk, FakeLedger, hello
from tests.support.slow_creates import SlowWorkflows, Way
from tests.unit.status_watcher.world import TOPICS, FakeKafka, World, later

pytestmark = pytest.mark.looptime

NAME = workflow_name(RunKey("default", "order-1"))
FINGERPRINT = RunRequest(id="order-1", workflow="hello", parameters={"name": "Ada"}).fingerprint
ENDED = "2026-01-01T00:05:00Z"


class Kafka(FakeKafka):
    """Notes when each outcome was published, on the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[tuple[float, PublishedEvent]] = []

    async def send(
        self,
        topic: str,
        record: OutgoingRecord,
        *,
        deadline: Deadline,
        partition: int | None = None,
    ) -> Appended:
        appended = await super().send(topic, record, deadline=deadline, partition=partition)
        if topic == TOPICS.results:
            published = decode_status(self.records_for_test(topic)[-1])
            assert isinstance(published, PublishedEvent)
            self.outcomes.append((now(), published))
        return appended


class LaggingLedger(FakeLedger):
    """Knows what was published so long ago, and nothing younger."""

    def __init__(self, kafka: Kafka, *, behind: float) -> None:
        super().__init__()
        self._kafka = kafka
        self._behind = behind

    async def get(self, key: RunKey) -> LedgerEntry | None:
        for published_at, published in self._kafka.outcomes:
            if published_at <= now() - self._behind:
                await self.record(published)
        return await super().get(key)


class Scene:
    """A run that ended, and was deleted, while no status-watcher ran; its record comes again."""

    def __init__(self) -> None:
        dedupe = DedupeSettings()
        self.kafka = Kafka()
        # As early as settings allow it.
        earliest = DedupeSettings(release_after=dedupe.least_release_after)
        self.world = World(dedupe=earliest)
        self.world.kafka = self.kafka
        self.workflows = SlowWorkflows(create_timeout=dedupe.create_timeout)
        self.world.workflows = self.workflows
        ledger = LaggingLedger(self.kafka, behind=dedupe.ledger_freshness.total_seconds())
        self.desk = Desk(workflows=self.workflows, ledger=ledger)
        self.record = self.desk.record(hello("order-1"))

    async def ended(self) -> "Scene":
        assert await self.desk.handler.handle(self.record) is Verdict.CREATED
        await self.workflows.set_status_for_test(NAME, phase="Succeeded", finishedAt=ENDED)
        await self.workflows.delete_for_test(NAME)
        return self

    async def all_over(self) -> None:
        """Let every create land, and the status-watcher release what it has to."""
        await self.workflows.landed_for_test()
        await later(3600)


def now() -> float:
    return asyncio.get_running_loop().time()


WAYS = {
    "the API server is slow": Way(admission=12),
    "all that is allowed": Way(travel=14.9, admission=14.9, apply=9.9),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_create_that_lands_late_starts_no_second_workflow(way: Way) -> None:
    scene = await Scene().ended()
    scene.workflows.slow_for_test(way)
    redelivered = asyncio.create_task(scene.desk.handler.handle(scene.record))
    await later(0.5)
    async with scene.world.starting():
        verdict = await redelivered
        await scene.all_over()
    assert scene.workflows.uids_for_test == ["uid-1"]
    assert scene.world.results() == ["1/Succeeded"]
    assert verdict in {Verdict.SAME_RUN, Verdict.REPLAYED}


async def test_the_latest_create_of_the_latest_decision_finds_the_workflow_still_there() -> None:
    scene = await Scene().ended()
    stopped = Way(stopped=4.9, travel=14.9, admission=14.9, apply=9.9)
    scene.workflows.slow_for_test(stopped)
    async with scene.world.starting():
        await scene.world.published("1/Succeeded")
        await later(4.9)
        await scene.desk.handler.handle(scene.record)
        await scene.all_over()
    assert scene.workflows.uids_for_test == ["uid-1"]


async def test_a_create_outlives_the_dispatcher_that_sent_it_and_starts_nothing() -> None:
    scene = await Scene().ended()
    scene.workflows.slow_for_test(WAYS["all that is allowed"])
    redelivered = asyncio.create_task(scene.desk.handler.handle(scene.record))
    await later(0.5)
    redelivered.cancel()
    async with scene.world.starting():
        await scene.all_over()
    assert scene.workflows.uids_for_test == ["uid-1"]
    assert await scene.desk.handler.handle(scene.record) is Verdict.REPLAYED


async def test_the_ledger_is_asked_again_after_the_process_was_suspended() -> None:
    """A process, or its machine, is stopped between the ledger's answer and the create."""
    ledger = Freezing()
    desk = Desk(ledger=ledger, clock=lambda: ledger.clock)
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REPLAYED
    assert desk.workflows.calls_for_test("create") == 0


async def test_a_slow_ledger_is_not_asked_without_end() -> None:
    ledger = Freezing(frozen_for=5.0)
    desk = Desk(ledger=ledger, clock=lambda: ledger.clock)
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.CREATED


class Freezing(FakeLedger):
    """Its second answer, the one before the create, is from before a freeze; a run ends in it."""

    def __init__(self, *, frozen_for: float = 5.1) -> None:
        super().__init__()
        self.clock = 0.0
        self._frozen_for = frozen_for
        self._asked = 0

    async def get(self, key: RunKey) -> LedgerEntry | None:
        self._asked += 1
        found = await super().get(key)
        if self._asked == 2:
            self.clock += self._frozen_for
            self.outcomes_for_test[key] = LedgerEntry(
                fingerprint=FINGERPRINT, phase=Phase.SUCCEEDED
            )
        return found
