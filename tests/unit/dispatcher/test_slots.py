"""At most so many live runs of one key; every slot is freed when its run has ended."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.json_patch import Operation
from sluice_argo.request_facts import decode_request_facts
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import ProblemCause, ProblemType
from sluice_contracts.status import Phase
from sluice_dispatcher.domain.models import LedgerEntry, Manifest
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.domain.slots import SlotState
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.live_watch import LiveWatch
from sluice_runtime.kubernetes.errors import ApiUnavailableError, RefusedError
from sluice_workflows.entries import WhenFull
from tests.support.dispatcher import NOW, Desk, hello
from tests.support.limited_workflow import limited_builder
from tests.unit.dispatcher.test_overload import command, in_flight_records, until
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

ENDED = "2026-01-01T00:00:00Z"
MINUTE_MS = 60_000


def virtual() -> float:
    return asyncio.get_running_loop().time()


def name_of(run_id: str) -> str:
    return workflow_name(RunKey("default", run_id))


class Scene:
    """Dispatchers with one cluster; more of them join by `another`."""

    def __init__(self, *, limit: int = 1, when_full: WhenFull = "queue") -> None:
        self.builder = limited_builder(limit=limit, when_full=when_full)
        self.desk = self._desk(None)
        self.workflows, self.slots = self.desk.workflows, self.desk.slots_for_test
        self.records = in_flight_records(self.desk)
        self.tasks: list[asyncio.Task[None]] = []

    def _desk(self, like: Desk | None) -> Desk:
        return Desk(
            builder=self.builder,
            clock=virtual,
            is_counting=True,
            first_reader=True,
            workflows=None if like is None else like.workflows,
            ledger=None if like is None else like.ledger,
            slots=None if like is None else like.slots_for_test,
        )

    def another(self) -> Desk:
        return self._desk(self.desk)

    def run(self) -> "Scene":
        watch = LiveWatch(self.workflows, admission=self.desk.admission, slots=self.desk.slots)
        running = (watch.run(), self.desk.admission.run(), self.desk.slots.run())
        self.tasks = [asyncio.create_task(each) for each in running]
        return self

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended

    def request(self, run_id: str, *, name: str = "Ada", at: int = 0, **more: Any) -> None:
        self.records.start(
            self.desk.record(hello(run_id, name=name, **more), timestamp_ms=at * MINUTE_MS)
        )

    def exists(self, run_id: str) -> bool:
        return name_of(run_id) in self.workflows.names_for_test()

    async def finish(self, run_id: str, *, phase: str = "Succeeded") -> None:
        def complete(obj: dict[str, Any]) -> None:
            obj["metadata"]["labels"][metadata.COMPLETED] = "true"
            obj["status"] = {**obj.get("status", {}), "phase": phase, "finishedAt": ENDED}
            obj["metadata"]["annotations"][metadata.PUBLISHED] = f"1/{phase}@{ENDED}"

        await self.workflows.change_for_test(name_of(run_id), complete)

    def phase(self, run_id: str) -> str:
        return str(self.workflows.object_for_test(name_of(run_id))["status"]["phase"])

    def outcome(self, run_id: str) -> LedgerEntry:
        return self.desk.ledger.outcomes_for_test[RunKey("default", run_id)]

    def metric(self, name: str) -> float | None:
        return self.desk.registry.get_sample_value(f"sluice_dispatcher_{name}")

    def waiting(self) -> int:
        return self.desk.budget.waiting[WaitReason.CONCURRENCY]


async def test_a_second_run_of_a_key_waits_until_the_first_has_finished() -> None:
    scene = Scene().run()
    scene.request("one")
    scene.request("two")
    scene.request("other", name="Grace")
    await until(lambda: scene.exists("one") and scene.exists("other"))
    await until(lambda: scene.waiting() == 1)
    await pause(300)
    assert not scene.exists("two")
    await scene.finish("one")
    await until(lambda: scene.exists("two"))
    await scene.end()


async def test_requests_of_a_key_start_in_their_order() -> None:
    scene = Scene().run()
    scene.request("live")
    await until(lambda: scene.exists("live"))
    scene.request("later", at=2)
    scene.request("earlier", at=1)
    scene.request("urgent", at=3, priority="high")
    await until(lambda: scene.waiting() == 3)
    order = ["live", "urgent", "earlier", "later"]
    for before, after in itertools.pairwise(order):
        await scene.finish(before)
        await until(lambda after=after: scene.exists(after))
    await scene.end()


async def test_a_limit_of_two_lets_two_live() -> None:
    scene = Scene(limit=2).run()
    for number in range(3):
        scene.request(f"run-{number}", at=number)
    await until(lambda: scene.waiting() == 1)
    assert len(scene.workflows.names_for_test()) == 2
    await scene.end()


async def test_tenants_do_not_share_keys() -> None:
    scene = Scene().run()
    scene.request("one")
    scene.request("one", tenant="acme")
    await until(lambda: len(scene.workflows.names_for_test()) == 2)
    await scene.end()


async def test_a_full_key_rejects_if_its_workflow_says_so() -> None:
    scene = Scene(when_full="reject").run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two")
    await until(lambda: scene.records.count == 0)
    [published] = scene.desk.publisher.outcomes_for_test
    assert published.event.phase is Phase.REJECTED
    assert published.event.problem is not None
    assert published.event.problem.type is ProblemType.CANCELLED
    assert published.event.problem.cause == ProblemCause.CONCURRENCY_LIMIT
    # What keeps another dispatcher from starting it comes first; it was valid: no dead letter.
    assert scene.desk.publisher.log_for_test == ["result", "status"]
    await scene.finish("one")
    scene.request("two")
    scene.request("three")
    await until(lambda: scene.records.count == 0)
    assert scene.exists("three")
    assert not scene.exists("two")
    await scene.end()


async def test_a_newer_run_stops_and_replaces_an_older_one() -> None:
    scene = Scene(when_full="replace").run()
    scene.request("old", at=1)
    await until(lambda: scene.exists("old"))
    scene.request("waits", at=2)
    scene.request("new", at=3)
    await until(lambda: scene.waiting() == 2)
    replaced = scene.workflows.object_for_test(name_of("old"))
    assert replaced["spec"]["shutdown"] == "Stop"
    command_of = decode_request_facts(replaced["metadata"]["annotations"]).last_command
    assert command_of is not None
    # The one that waits came first, and is replaced itself.
    assert (command_of.type, command_of.reason) == ("stop", "Replaced by the run waits.")
    assert not scene.exists("new")
    await scene.finish("old", phase="Failed")
    await until(lambda: scene.exists("new"))
    # Nothing older comes after it.
    await until(lambda: scene.records.count == 0)
    assert not scene.exists("waits")
    assert "shutdown" not in scene.workflows.object_for_test(name_of("new"))["spec"]
    assert scene.outcome("waits").phase is Phase.REJECTED
    await scene.end()


async def test_a_redelivered_request_has_its_slot_already() -> None:
    """Its dispatcher died between taking the slot and creating the Workflow."""
    scene = Scene()
    scene.workflows.hold_for_test("create")
    scene.request("one")
    await until(lambda: bool(scene.slots.states_for_test))
    await until(lambda: scene.workflows.calls_for_test("create") == 1)
    await scene.records.close(grace=0)
    scene.workflows.heal_for_test()
    other = scene.another()
    two = asyncio.create_task(other.handler.handle(other.record(hello("two"))))
    await pause(60)
    assert not scene.exists("two")
    await other.handler.handle(other.record(hello("one")))
    assert scene.exists("one")
    await pause(60)
    assert not two.done()
    await scene.finish("one")
    await two


async def test_a_run_that_ends_without_a_workflow_gives_its_slot_back() -> None:
    scene = Scene().run()
    scene.desk.pauses_for_test = Pauses(tenants={"acme": "paused."})
    scene.desk.now_for_test = NOW
    scene.request("expired", expires_at=(NOW - timedelta(hours=1)).isoformat())
    await until(lambda: scene.records.count == 0)
    assert scene.desk.publisher.outcomes_for_test[0].event.phase is Phase.EXPIRED
    assert scene.slots.states_for_test == {}
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.end()


async def test_a_request_that_expires_while_its_key_is_full_ends() -> None:
    scene = Scene().run()
    scene.desk.now_for_test = NOW
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two", expires_at=(NOW + timedelta(seconds=60)).isoformat())
    await until(lambda: scene.waiting() == 1)
    scene.desk.now_for_test = NOW + timedelta(minutes=5)
    await until(lambda: scene.records.count == 0)
    assert not scene.exists("two")
    assert scene.desk.publisher.outcomes_for_test[0].event.phase is Phase.EXPIRED
    await scene.end()


async def test_a_stopped_run_gives_way() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    scene.request("two", at=1)
    scene.request("three", at=2)
    await until(lambda: scene.waiting() == 2)
    scene.records.start(command(scene.desk, "stop", "two"))
    await until(lambda: scene.records.count == 1)
    await scene.finish("one")
    await until(lambda: scene.exists("three"))
    assert not scene.exists("two")
    await scene.end()


async def test_a_paused_workflow_replaces_nothing() -> None:
    scene = Scene(when_full="replace").run()
    scene.request("old", at=1)
    await until(lambda: scene.exists("old"))
    scene.desk.pauses_for_test = Pauses(workflows={"hello": "paused."})
    scene.request("new", at=2)
    await until(lambda: scene.desk.budget.waiting[WaitReason.PAUSED] == 1)
    await pause(60)
    assert "shutdown" not in scene.workflows.object_for_test(name_of("old"))["spec"]
    await scene.end()


async def test_a_retry_waits_for_a_slot_of_its_key() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.finish("one", phase="Failed")
    scene.request("two")
    await until(lambda: scene.exists("two"))
    scene.records.start(command(scene.desk, "retry", "one"))
    await until(lambda: scene.waiting() == 1)
    assert scene.phase("one") == "Failed"
    await scene.finish("two")
    await until(lambda: scene.records.count == 0)
    assert scene.phase("one") == "Running"
    scene.request("three")
    await until(lambda: scene.waiting() == 1)
    await scene.finish("one")
    await until(lambda: scene.exists("three"))
    await scene.end()


async def test_a_run_that_a_retry_is_about_to_reopen_keeps_its_slot() -> None:
    """Between the retry's look at the slots and its patch, another run must not take the place."""
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.finish("one", phase="Failed")
    patched = scene.workflows.hold_for_test("patch")
    scene.records.start(command(scene.desk, "retry", "one"))
    await until(lambda: scene.workflows.calls_for_test("patch") == 1)
    scene.request("two")
    await pause(60)
    assert not scene.exists("two")
    patched.set()
    await until(lambda: scene.phase("one") == "Running")
    await pause(60)
    assert not scene.exists("two")
    await scene.end()


def refused() -> RefusedError:
    return RefusedError("PATCH: 422 Invalid", status=422, reason="Invalid")


async def test_a_retry_that_the_cluster_refuses_gives_its_slot_back() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.finish("one", phase="Failed")
    scene.workflows.fail_for_test("patch", refused())
    scene.records.start(command(scene.desk, "retry", "one"))
    await until(lambda: scene.records.count == 0)
    [refusal] = scene.desk.publisher.refusals_for_test
    assert refusal.problem.type is ProblemType.REFUSED_BY_CLUSTER
    assert scene.phase("one") == "Failed"
    scene.request("two")
    await until(lambda: scene.exists("two"))
    await scene.end()


async def test_a_retry_that_was_refused_cannot_be_applied_late() -> None:
    """The owner before a rebalance sent the same patch, and was suspended."""
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.finish("one", phase="Failed")
    patch, sent, resumed = scene.workflows.patch, asyncio.Event(), asyncio.Event()

    async def patch_late(name: str, operations: Sequence[Operation]) -> Manifest:
        sent.set()
        await resumed.wait()
        return await patch(name, operations)

    scene.workflows.patch = patch_late  # type: ignore[method-assign]
    retry = command(scene.desk, "retry", "one")
    scene.records.start(retry)
    await sent.wait()
    scene.workflows.patch = patch  # type: ignore[method-assign]
    scene.workflows.fail_for_test("patch", refused())
    other = scene.another()
    await other.handler.handle(retry)
    scene.request("two")
    await until(lambda: scene.exists("two"))
    resumed.set()
    await pause(60)
    assert scene.phase("one") == "Failed"
    await scene.end()


async def test_a_refused_retry_that_another_delivery_has_applied_keeps_its_slot() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.finish("one", phase="Failed")
    patch = scene.workflows.patch

    async def refuse_after_another(name: str, operations: Sequence[Operation]) -> Manifest:
        scene.workflows.patch = patch  # type: ignore[method-assign]
        await patch(name, operations)
        raise refused()

    scene.workflows.patch = refuse_after_another  # type: ignore[method-assign]
    scene.records.start(command(scene.desk, "retry", "one"))
    await until(lambda: scene.records.count == 0)
    assert scene.phase("one") == "Running"
    scene.request("two")
    await pause(60)
    assert not scene.exists("two")
    await scene.finish("one")
    await until(lambda: scene.exists("two"))
    await scene.end()


async def test_a_retry_of_a_workflow_that_nobody_may_change_gives_its_slot_back() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.exists("one"))
    await scene.finish("one", phase="Failed")
    scene.workflows.fail_for_test("patch", refused(), refused())
    scene.records.start(command(scene.desk, "retry", "one"))
    await until(lambda: scene.records.count == 0)
    assert len(scene.desk.publisher.refusals_for_test) == 1
    scene.request("two")
    await until(lambda: scene.exists("two"))
    await scene.end()


async def test_slots_that_nobody_holds_are_removed() -> None:
    scene = Scene().run()
    for number in range(5):
        scene.request(f"run-{number}", name=f"name-{number}")
    await until(lambda: len(scene.slots.states_for_test) == 5)
    await until(lambda: scene.records.count == 0)
    for number in range(4):
        await scene.finish(f"run-{number}")
    await pause(700)
    assert [len(state.holders) for state in scene.slots.states_for_test.values()] == [1]
    await scene.end()


async def test_a_holder_that_has_ended_is_removed_beside_one_that_has_not() -> None:
    """The ledger forgets its outcome in a week, and then nobody can know that it has ended."""
    scene = Scene(limit=2).run()
    for number in range(2):
        scene.request(f"run-{number}")
    await until(lambda: scene.records.count == 0)
    await scene.finish("run-0")
    await pause(700)
    [state] = scene.slots.states_for_test.values()
    assert [holder.key.run_id for holder in state.holders] == ["run-1"]
    await scene.end()


async def test_a_slot_that_cannot_be_read_does_not_keep_others_from_being_removed() -> None:
    scene = Scene().run()
    for number in range(3):
        scene.request(f"run-{number}", name=f"name-{number}")
    await until(lambda: scene.records.count == 0)
    for number in range(3):
        await scene.finish(f"run-{number}")
    spoiled = next(iter(scene.slots.states_for_test))
    scene.slots.spoil_for_test(spoiled)
    await pause(700)
    assert list(scene.slots.states_for_test) == [spoiled]
    assert scene.metric("unswept_slots") == 1
    await scene.end()


async def test_a_slot_whose_delete_is_refused_does_not_keep_others_from_being_removed() -> None:
    scene = Scene().run()
    for number in range(3):
        scene.request(f"run-{number}", name=f"name-{number}")
    await until(lambda: scene.records.count == 0)
    for number in range(3):
        await scene.finish(f"run-{number}")
    kept = next(iter(scene.slots.states_for_test))
    delete = scene.slots.delete

    async def refuse_one(state: SlotState) -> None:
        if state.slot.name == kept:
            raise RefusedError("DELETE: 422", status=422, reason="Invalid")
        await delete(state)

    scene.slots.delete = refuse_one  # type: ignore[method-assign]
    await pause(700)
    assert list(scene.slots.states_for_test) == [kept]
    assert scene.metric("unswept_slots") == 1
    await scene.end()


async def test_sweeps_that_fail_are_counted_and_repeated() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.records.count == 0)
    await scene.finish("one")
    trouble = scene.slots.trouble_for_test

    async def fail() -> None:
        raise ApiUnavailableError("no answer")

    scene.slots.trouble_for_test = fail
    await pause(700)
    assert scene.metric("slot_sweep_failures_total") == 2
    scene.slots.trouble_for_test = trouble
    await pause(300)
    assert scene.slots.states_for_test == {}
    await scene.end()


async def test_requests_of_a_key_wait_while_its_slot_cannot_be_read() -> None:
    scene = Scene().run()
    scene.request("one")
    await until(lambda: scene.records.count == 0)
    [slot] = scene.slots.states_for_test.values()
    scene.slots.spoil_for_test(slot.slot.name)
    scene.request("two")
    await until(lambda: scene.waiting() == 1)
    await scene.finish("one")
    # As the runbook says: somebody deletes it.
    del scene.slots.states_for_test[slot.slot.name]
    await until(lambda: scene.exists("two"))
    await scene.end()
