"""Tenants with namespaces of their own, and tenants that have moved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import Phase
from sluice_dispatcher.bootstrap import load_builder
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.live_watch import LiveWatch
from sluice_dispatcher.services.live_watches import LiveWatches
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.kubernetes.errors import ApiUnavailableError, NotFoundError
from sluice_runtime.live_limits import Limits
from tests.support.dispatcher import Desk, hello
from tests.support.fake_workflows import FakeWorkflows
from tests.support.limited_workflow import limited_builder
from tests.unit.dispatcher.test_overload import in_flight_records, until
from tests.unit.runtime.clock import pause

pytestmark = pytest.mark.looptime

ENDED = "2026-01-01T00:00:00Z"

BEFORE = DispatcherSettings()
MOVED = DispatcherSettings.model_validate(
    {
        "kubernetes": {
            "tenants": {
                "acme": {"namespace": "acme-runs", "moved_from": ["argo"]},
                "globex": {"namespace": "globex-runs"},
            }
        }
    }
)
BUILDER = load_builder(MOVED)


def virtual() -> float:
    return asyncio.get_running_loop().time()


def name_of(run_id: str, *, tenant: str = "acme") -> str:
    return workflow_name(RunKey(tenant, run_id))


class Scene:
    """A cluster with three namespaces, before and after a tenant's move to one of them."""

    def __init__(self) -> None:
        self.old = FakeWorkflows()
        self.acme = FakeWorkflows(namespace="acme-runs")
        self.globex = FakeWorkflows(namespace="globex-runs")
        self.before = Desk(workflows=self.old)
        self.after = self.desk()

    def desk(self, **more: Any) -> Desk:
        return Desk(
            settings=MOVED,
            builder=more.pop("builder", BUILDER),
            workflows=self.old,
            elsewhere=[self.acme, self.globex],
            ledger=self.before.ledger,
            **more,
        )

    async def start(self, desk: Desk, run_id: str = "order-1", **more: Any) -> Verdict:
        return await desk.handler.handle(desk.record(hello(run_id, tenant="acme", **more)))

    def places(self) -> dict[str, list[str]]:
        """The names of all Workflows, by namespace."""
        return {
            each.namespace: sorted(each.names_for_test())
            for each in (self.old, self.acme, self.globex)
            if each.names_for_test()
        }


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_each_tenant_has_its_workflows_in_its_own_namespace(scene: Scene) -> None:
    for tenant in ("acme", "globex", "default", "initech"):
        record = scene.after.record(hello("order-1", tenant=tenant))
        assert await scene.after.handler.handle(record) is Verdict.CREATED
    names = {tenant: name_of("order-1", tenant=tenant) for tenant in ("acme", "globex")}
    others = sorted(name_of("order-1", tenant=tenant) for tenant in ("default", "initech"))
    assert scene.places() == {
        "argo": others,
        "acme-runs": [names["acme"]],
        "globex-runs": [names["globex"]],
    }
    manifest = scene.acme.object_for_test(names["acme"])
    assert manifest["metadata"]["namespace"] == "acme-runs"


async def test_a_request_from_before_the_move_starts_no_second_run(scene: Scene) -> None:
    assert await scene.start(scene.before) is Verdict.CREATED
    assert await scene.start(scene.after) is Verdict.SAME_RUN
    assert await scene.start(scene.after, name="Grace") is Verdict.REFUSED
    assert scene.places() == {"argo": [name_of("order-1")]}


async def test_a_run_that_ended_before_the_move_is_not_started_again(scene: Scene) -> None:
    await scene.start(scene.before)
    fingerprint = scene.old.object_for_test(name_of("order-1"))["metadata"]["annotations"][
        metadata.FINGERPRINT
    ]
    outcome = LedgerEntry(fingerprint=fingerprint, phase=Phase.SUCCEEDED)
    scene.before.ledger.outcomes_for_test[RunKey("acme", "order-1")] = outcome
    await scene.old.change_for_test(
        name_of("order-1"), lambda obj: obj["metadata"].update(finalizers=[])
    )
    await scene.old.delete_for_test(name_of("order-1"))
    assert await scene.start(scene.after) is Verdict.REPLAYED
    assert scene.places() == {}


async def test_nothing_is_created_while_the_old_namespace_cannot_be_read(scene: Scene) -> None:
    await scene.start(scene.before)
    away = [ApiUnavailableError("GET: 403 Forbidden", status=403)] * 3
    scene.old.fail_for_test("get", *away)
    assert await scene.start(scene.after) is Verdict.SAME_RUN
    assert scene.acme.calls_for_test("create") == 0


async def test_a_tenant_that_has_not_moved_costs_no_look_elsewhere(scene: Scene) -> None:
    record = scene.after.record(hello("order-1", tenant="globex"))
    await scene.after.handler.handle(record)
    assert scene.globex.calls_for_test("create") == 1
    reads = [each.calls_for_test("get") for each in (scene.old, scene.acme, scene.globex)]
    assert reads == [0, 0, 0]


@pytest.mark.parametrize("where", ["before", "after"])
async def test_commands_reach_a_run_wherever_it_is(scene: Scene, where: str) -> None:
    desk = {"before": scene.before, "after": scene.after}[where]
    workflows = {"before": scene.old, "after": scene.acme}[where]
    await scene.start(desk)
    await workflows.set_status_for_test(name_of("order-1"), phase="Running")
    command = {"type": "stop", "id": "order-1", "tenant": "acme"}
    verdict = await scene.after.handler.handle(scene.after.record(command))
    assert verdict is Verdict.APPLIED
    assert workflows.object_for_test(name_of("order-1"))["spec"]["shutdown"] == "Stop"


async def test_a_retry_deletes_the_pods_where_the_run_is(scene: Scene) -> None:
    await scene.start(scene.before)
    failed = {"type": "Pod", "phase": "Failed", "id": "a", "name": "a", "templateName": "hello"}
    await scene.old.set_status_for_test(
        name_of("order-1"), phase="Failed", finishedAt=ENDED, nodes={"a": failed}
    )
    await scene.old.change_for_test(
        name_of("order-1"),
        lambda obj: obj["metadata"]["annotations"].update(
            {metadata.PUBLISHED: f"1/Failed@{ENDED}"}
        ),
    )
    command = {"type": "retry", "id": "order-1", "tenant": "acme"}
    verdict = await scene.after.handler.handle(scene.after.record(command))
    assert verdict is Verdict.APPLIED
    assert len(scene.old.deleted_pods_for_test) == 1
    assert scene.acme.deleted_pods_for_test == []


async def test_a_command_for_a_run_of_nobody_is_refused(scene: Scene) -> None:
    command = {"type": "stop", "id": "order-1", "tenant": "acme"}
    assert await scene.after.handler.handle(scene.after.record(command)) is Verdict.REFUSED


class Watched:
    """A dispatcher that watches all three namespaces."""

    def __init__(self, scene: Scene, **more: Any) -> None:
        self.scene = scene
        self.desk = scene.desk(
            clock=virtual,
            is_counting=True,
            first_reader=True,
            unready=self.unready,
            joined=self.joined,
            **more,
        )
        admission, slots = self.desk.admission, self.desk.slots
        self.watches = LiveWatches(
            [
                LiveWatch(each, admission=admission, slots=slots)
                for each in (scene.old, scene.acme, scene.globex)
            ],
            namespaces=MOVED.kubernetes.namespaces,
        )
        self.records = in_flight_records(self.desk)
        self.tasks: list[asyncio.Task[None]] = []

    def unready(self) -> WaitReason | None:
        return WaitReason.KUBERNETES if self.watches.are_unknown() else None

    def joined(self, pauses: Pauses) -> Pauses:
        return self.watches.joined_to(pauses)

    def run(self) -> None:
        running = (self.watches.run(), self.desk.admission.run(), self.desk.slots.run())
        self.tasks = [asyncio.create_task(each) for each in running]

    def request(self, run_id: str, *, tenant: str, **more: Any) -> None:
        self.records.start(self.desk.record(hello(run_id, tenant=tenant, **more)))

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def watched(scene: Scene) -> AsyncIterator[Watched]:
    made = Watched(scene, builder=limited_builder(namespaces=MOVED.kubernetes.namespaces))
    yield made
    await made.end()


def forbidden(times: int = 1000) -> list[Exception]:
    return [ApiUnavailableError("LIST: 403 Forbidden", status=403)] * times


async def test_live_runs_count_in_every_namespace(watched: Watched) -> None:
    watched.desk.limits_for_test = Limits(live=2)
    await watched.scene.start(watched.scene.before, "old")
    watched.run()
    watched.request("new", tenant="globex")
    await until(lambda: watched.scene.globex.calls_for_test("create") == 1)
    watched.request("more", tenant="default")
    await until(lambda: watched.desk.budget.waiting[WaitReason.LIVE_LIMIT] == 1)
    await watched.scene.old.change_for_test(
        name_of("old"), lambda obj: obj["metadata"]["labels"].update({metadata.COMPLETED: "true"})
    )
    await until(lambda: watched.records.count == 0)


async def test_a_denied_namespace_holds_the_runs_of_its_tenant_alone(watched: Watched) -> None:
    scene = watched.scene
    scene.globex.fail_for_test("list_page", *forbidden())
    watched.desk.limits_for_test = Limits(live=5)
    watched.run()
    watched.request("one", tenant="globex")
    watched.request("two", tenant="acme")
    watched.request("three", tenant="default")
    await until(lambda: watched.records.count == 1)
    assert "globex-runs" not in scene.places()
    await until(lambda: watched.desk.budget.waiting[WaitReason.FORBIDDEN] == 1)
    why = watched.watches.waiting_for() or ""
    assert why.startswith("namespace globex-runs: ")
    assert "LIST: 403 Forbidden" in why
    known = {namespace: each() for namespace, each in watched.watches.known().items()}
    assert known == {"argo": True, "acme-runs": True, "globex-runs": False}
    scene.globex.heal_for_test()
    await until(lambda: watched.records.count == 0)
    assert scene.places()["globex-runs"] == [name_of("one", tenant="globex")]
    assert watched.watches.waiting_for() is None


@pytest.mark.parametrize(
    "denial",
    [
        ApiUnavailableError("CREATE: 403 Forbidden: exceeded quota", status=403),
        NotFoundError("CREATE: 404 NotFound", status=404, reason="NotFound"),
    ],
    ids=["quota", "missing"],
)
async def test_requests_that_a_namespace_refuses_keep_no_place_from_others(
    watched: Watched, denial: Exception
) -> None:
    scene = watched.scene
    scene.globex.fail_for_test("create", *[denial] * 1000)
    watched.desk.limits_for_test = Limits(live=2)
    watched.run()
    for number in range(3):
        watched.request(f"globex-{number}", tenant="globex", name=str(number))
    await until(lambda: watched.desk.budget.waiting[WaitReason.FORBIDDEN] >= 2)
    for number in range(2):
        watched.request(f"default-{number}", tenant="default", name=str(number))
    await until(lambda: len(scene.places().get("argo", ())) == 2)
    await pause(100)
    assert watched.desk.admission.queue.live == 2
    scene.globex.heal_for_test()
    for name in scene.old.names_for_test():
        await scene.old.change_for_test(
            name, lambda obj: obj["metadata"]["labels"].update({metadata.COMPLETED: "true"})
        )
    await until(lambda: len(scene.places().get("globex-runs", ())) == 2)
    assert watched.desk.budget.waiting[WaitReason.FORBIDDEN] == 0


async def test_a_request_that_a_namespace_refuses_can_be_stopped(watched: Watched) -> None:
    scene = watched.scene
    scene.globex.fail_for_test("create", *forbidden())
    watched.run()
    watched.request("one", tenant="globex")
    await until(lambda: watched.desk.budget.waiting[WaitReason.FORBIDDEN] == 1)
    stop = {"type": "stop", "id": "one", "tenant": "globex"}
    watched.records.start(watched.desk.record(stop))
    await until(lambda: watched.records.count == 0)
    assert watched.desk.ledger.outcomes_for_test[RunKey("globex", "one")].phase is Phase.REJECTED
    assert watched.desk.admission.queue.live == 0


async def test_nothing_starts_while_a_namespace_is_unknown_but_not_denied(
    watched: Watched,
) -> None:
    """The API server may be away: how much is live there decides on everybody's limit."""
    watched.scene.globex.fail_for_test("list_page", *[ApiUnavailableError("503")] * 1000)
    watched.desk.limits_for_test = Limits(live=5)
    watched.run()
    watched.request("one", tenant="default")
    await until(lambda: watched.desk.budget.waiting[WaitReason.KUBERNETES] == 1)
    await pause(300)
    assert watched.scene.places() == {}
    watched.scene.globex.heal_for_test()
    await until(lambda: watched.records.count == 0)


async def test_a_run_in_the_old_namespace_keeps_the_slot_of_its_key(watched: Watched) -> None:
    old = Desk(
        builder=limited_builder(),
        workflows=watched.scene.old,
        slots=watched.desk.slots_for_test,
        clock=virtual,
        is_counting=True,
    )
    await watched.scene.start(old, "one")
    watched.run()
    watched.request("two", tenant="acme")
    await until(lambda: watched.desk.budget.waiting[WaitReason.CONCURRENCY] == 1)
    await pause(300)
    assert watched.scene.places() == {"argo": [name_of("one")]}

    def complete(obj: dict[str, Any]) -> None:
        obj["metadata"]["labels"][metadata.COMPLETED] = "true"
        obj["status"] = {"phase": "Succeeded", "finishedAt": ENDED}

    await watched.scene.old.change_for_test(name_of("one"), complete)
    await until(lambda: watched.records.count == 0)
    assert watched.scene.places()["acme-runs"] == [name_of("two")]
