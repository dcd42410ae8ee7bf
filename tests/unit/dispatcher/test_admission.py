"""Requests wait for a place; what they wait for is known, and every wait can end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_argo import metadata
from sluice_contracts.controls import Control, ControlState, ControlTarget, encode_control
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.live_watch import LiveWatch
from sluice_dispatcher.services.pauses_view import PausesView
from sluice_dispatcher.services.queued_runs import QueuedRun
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.kubernetes.errors import RefusedError
from sluice_runtime.live_limits import Limits, TenantLimits
from sluice_runtime.projection.controls_store import ControlsStore
from tests.support.dispatcher import NOW, Desk, hello
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.dispatcher.test_overload import command, in_flight_records, until
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

PARTITION = TopicPartition("sluice.requests", 0)
LONGEST_S = DedupeSettings().least_release_after.total_seconds()


def virtual() -> float:
    return asyncio.get_running_loop().time()


def name_of(run_id: str, *, tenant: str = "default") -> str:
    return workflow_name(RunKey(tenant, run_id))


class Scene:
    """A dispatcher that counts live runs, with its watch."""

    def __init__(
        self,
        *,
        live: int | None = 1,
        workflows: FakeWorkflows | None = None,
        first_reader: bool = True,
    ) -> None:
        self.desk = Desk(
            clock=virtual,
            is_counting=True,
            first_reader=first_reader,
            unready=self.unready,
            workflows=workflows,
        )
        self.desk.limits_for_test = Limits(live=live)
        self.watch = LiveWatch(
            self.desk.workflows, admission=self.desk.admission, slots=self.desk.slots
        )
        self.records: InFlightRecords = in_flight_records(self.desk)

    def unready(self) -> WaitReason | None:
        return WaitReason.KUBERNETES if self.watch.waiting_for() else None

    def run(self) -> "Scene":
        """Start the tasks; not in a fixture, where time is not virtual."""
        self._tasks = [
            asyncio.create_task(self.watch.run()),
            asyncio.create_task(self.desk.admission.run()),
        ]
        return self

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended

    def request(self, run_id: str, **more: Any) -> None:
        self.records.start(self.desk.record(hello(run_id, **more)))

    def exists(self, run_id: str, *, tenant: str = "default") -> bool:
        return name_of(run_id, tenant=tenant) in self.desk.workflows.names_for_test()

    async def finish(self, run_id: str, *, tenant: str = "default") -> None:
        def complete(obj: dict[str, Any]) -> None:
            obj["metadata"]["labels"][metadata.COMPLETED] = "true"

        await self.desk.workflows.change_for_test(name_of(run_id, tenant=tenant), complete)

    def waiting(self, reason: WaitReason) -> int:
        return self.desk.budget.waiting[reason]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    await scene.end()


async def test_a_request_waits_until_a_live_run_has_finished(scene: Scene) -> None:
    scene.run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 1)
    await pause(300)
    assert not scene.exists("two")
    await scene.finish("one")
    await until(lambda: scene.records.count == 0)
    assert scene.exists("two")
    assert not any(scene.desk.budget.waiting.values())


async def test_a_tenant_below_its_limits_says_how_long_it_has_had_no_start(scene: Scene) -> None:
    scene.desk.limits_for_test = Limits(live=1, tenants={"acme": TenantLimits(live=0)})
    scene.run()
    unserved = scene.desk.admission.unserved_seconds
    scene.request("one")
    await until(lambda: scene.exists("one"))
    assert unserved() == {}
    for number in range(2):
        scene.request(f"more-{number}")
        scene.request(f"late-{number}", tenant="globex")
        scene.request(f"held-{number}", tenant="acme")
    await pause(101)
    # The limit of acme holds its requests: others take nothing from it.
    assert set(unserved()) == {"default", "globex"}
    assert all(100 <= seconds <= 101 for seconds in unserved().values())
    await scene.finish("one")
    await pause(11)
    assert scene.exists("more-0")
    assert unserved()["default"] <= 11
    assert unserved()["globex"] >= 111
    await scene.finish("more-0")
    await until(lambda: scene.exists("late-0", tenant="globex"))
    await pause(11)
    # It waits for its second run since its first one.
    assert unserved()["globex"] <= 12


async def test_runs_of_other_dispatchers_count(scene: Scene) -> None:
    scene.run()
    other = Desk(workflows=scene.desk.workflows)
    await other.handler.handle(other.record(hello("other")))
    scene.request("one")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 1)
    await scene.desk.workflows.remove_for_test(name_of("other"))
    await until(lambda: scene.exists("one"))


async def test_nothing_starts_before_the_live_runs_are_known() -> None:
    workflows = FakeWorkflows()
    scene = Scene(live=10, workflows=workflows)
    listed = workflows.hold_for_test("list_page")
    scene.run().request("one")
    await until(lambda: scene.waiting(WaitReason.KUBERNETES) == 1)
    assert "not been listed" in (scene.watch.waiting_for() or "")
    await pause(60)
    assert not scene.exists("one")
    listed.set()
    await until(lambda: scene.exists("one"))
    assert scene.watch.waiting_for() is None
    await scene.end()


async def test_nothing_starts_while_the_watch_is_silent(scene: Scene) -> None:
    scene.run()
    scene.desk.limits_for_test = Limits(live=10)
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.desk.workflows.go_silent_for_test()
    scene.desk.workflows.hold_for_test("list_page")
    await until(lambda: "has sent nothing" in (scene.watch.waiting_for() or ""))
    scene.request("two")
    await until(lambda: scene.waiting(WaitReason.KUBERNETES) == 1)
    scene.desk.workflows.heal_for_test()
    await until(lambda: scene.exists("two"))


async def test_a_redelivered_request_of_a_live_run_needs_no_place(scene: Scene) -> None:
    scene.run()
    scene.request("one")
    await until(lambda: scene.records.count == 0)
    assert await scene.desk.handler.handle(scene.desk.record(hello("one"))) is Verdict.SAME_RUN


async def test_a_request_that_waits_passes_when_its_workflow_appears(scene: Scene) -> None:
    """Another dispatcher has created it, and this one had not seen that."""
    scene.run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 1)
    other = Desk(workflows=scene.desk.workflows)
    await other.handler.handle(other.record(hello("two")))
    await until(lambda: scene.records.count == 0)


async def test_a_request_whose_workflow_appears_before_it_waits_takes_no_place(
    scene: Scene,
) -> None:
    """It was getting its slot meanwhile. No later change of the Workflow would free the place."""
    scene.run()
    other = Desk(workflows=scene.desk.workflows)
    record = scene.desk.record(hello("one"))
    await other.handler.handle(record)
    await scene.finish("one")
    await until(lambda: scene.desk.admission.knows(RunKey("default", "one")))
    received = decode_request(record)
    assert isinstance(received, ReceivedRun)
    queued = QueuedRun(record, received, clock=virtual, create_possible_since=None)

    async def create() -> Verdict:
        return Verdict.SAME_RUN

    assert await scene.desk.admission.start(queued, create) is Verdict.SAME_RUN
    assert scene.desk.admission.queue.live == 0


async def test_a_stop_ends_the_wait(scene: Scene) -> None:
    scene.run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 1)
    scene.records.start(command(scene.desk, "stop", "two"))
    await until(lambda: scene.records.count == 0)
    await scene.finish("one")
    scene.request("three")
    await until(lambda: scene.exists("three"))
    assert not scene.exists("two")


async def test_waiting_requests_are_abandoned_at_once_and_leave_their_place(scene: Scene) -> None:
    scene.run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    for number in range(10):
        scene.request(f"more-{number}")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 10)
    began = virtual()
    await scene.records.close(grace=30)
    assert virtual() == began
    assert scene.records.committable() == {PARTITION: 1}
    assert len(scene.desk.admission.queue) == 0
    assert scene.desk.admission.queue.live == 1


async def test_requests_that_are_abandoned_together_leave_no_place_behind() -> None:
    """Of redelivered requests, an earlier owner may have created some: that is its own place."""
    scene = Scene(live=2, first_reader=False).run()
    held = scene.desk.workflows.hold_for_test("create")
    for number in range(6):
        scene.request(f"run-{number}")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 4)
    # The first one that leaves makes others pass, which are cancelled as well.
    scene.desk.limits_for_test = Limits(live=6)
    await scene.records.close(grace=0)
    # Two creates were sent, and may have been carried out.
    assert scene.desk.admission.queue.live == 2
    held.set()
    await pause(LONGEST_S + 2)
    assert scene.desk.admission.queue.live == 0
    await scene.end()


async def test_a_place_is_given_back_by_a_request_that_the_cluster_refuses(scene: Scene) -> None:
    scene.run()

    async def refuse(name: str) -> None:
        if name == name_of("bad"):
            raise RefusedError("CREATE: 422", status=422, reason="Invalid")

    scene.desk.before_create(refuse)
    scene.request("bad")
    scene.request("good")
    await until(lambda: scene.records.count == 0)
    assert scene.exists("good")


async def test_a_request_that_expires_while_it_waits_ends_at_once(scene: Scene) -> None:
    scene.run()
    scene.desk.now_for_test = NOW
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two", expires_at=(NOW + timedelta(seconds=100)).isoformat())
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 1)
    scene.desk.now_for_test = NOW + timedelta(seconds=300)
    await until(lambda: scene.records.count == 0)
    assert not scene.exists("two")
    assert len(scene.desk.publisher.outcomes_for_test) == 1


async def test_a_changed_limit_acts_on_what_waits(scene: Scene) -> None:
    scene.run()
    for number in range(3):
        scene.request(f"run-{number}")
    await until(lambda: scene.waiting(WaitReason.LIVE_LIMIT) == 2)
    scene.desk.limits_for_test = Limits(tenants={"default": TenantLimits(live=2)})
    await until(lambda: scene.waiting(WaitReason.TENANT_LIMIT) == 1)
    await until(lambda: len(scene.desk.workflows.names_for_test()) == 2)


async def test_a_pause_holds_what_it_names_and_nothing_else(scene: Scene) -> None:
    scene.run()
    scene.desk.limits_for_test = Limits()
    scene.desk.pauses_for_test = Pauses(tenants={"acme": "paused."})
    scene.request("one", tenant="acme")
    scene.request("two")
    await until(lambda: scene.waiting(WaitReason.PAUSED) == 1)
    assert scene.exists("two")
    scene.desk.pauses_for_test = Pauses()
    await until(lambda: scene.exists("one", tenant="acme"))


async def test_records_of_the_controls_topic_pause_and_resume(scene: Scene) -> None:
    store = ControlsStore()
    view = PausesView(store)

    async def control(state: ControlState) -> None:
        paused = Control(state=state, reason="migration", by="user:ada", at=NOW)
        record = encode_control(ControlTarget("tenant", "acme"), paused, source="/test")
        incoming = IncomingRecord(
            position=Position("sluice.controls", 0, 0),
            timestamp_ms=0,
            key=record.key,
            value=record.value,
        )
        await (await store.prepare([incoming]))()
        scene.desk.pauses_for_test = view.pauses()

    scene.run()
    scene.desk.limits_for_test = Limits()
    states: tuple[ControlState, ...] = ("paused", "draining")
    for state in states:
        await control(state)
        scene.request(f"run-{state}", tenant="acme")
        await until(lambda: scene.waiting(WaitReason.PAUSED) == 1)
        [queued] = scene.desk.queued
        explained = scene.desk.admission.explain(queued)
        assert explained == f"The tenant acme is {state} by user:ada: migration"
        await control("running")
        await until(lambda: scene.records.count == 0)


async def test_without_limits_nothing_waits_and_nothing_is_listed() -> None:
    desk = Desk()
    for number in range(50):
        verdict = await desk.handler.handle(desk.record(hello(f"order-{number}")))
        assert verdict is Verdict.CREATED
    assert desk.workflows.calls_for_test("list_page") == 0
    assert desk.workflows.calls_for_test("watch") == 0
    assert desk.admission.queue.live == 0
