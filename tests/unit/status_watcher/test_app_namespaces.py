"""The status-watcher with several namespaces, one of which may be denied."""

import pytest
from structlog.testing import capture_logs

from sluice_argo import metadata
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.fake_lease import FakeLease
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, manifest, name_of
from tests.unit.status_watcher.scenes import finish, released, submit
from tests.unit.status_watcher.test_app_leadership import elector_of
from tests.unit.status_watcher.world import World, later

pytestmark = pytest.mark.looptime

OTHER = name_of("order-2")


def world_of_two() -> tuple[World, FakeWorkflows]:
    """Return a world with a second namespace."""
    world, acme = World(), FakeWorkflows(namespace="acme-runs")
    world.elsewhere = [acme]
    return world, acme


def deny(workflows: FakeWorkflows, times: int = 1000) -> None:
    """Let the Role of the namespace be missing."""
    denials = [ApiUnavailableError("LIST: 403 Forbidden", status=403)] * times
    workflows.fail_for_test("list_page", *denials)


def unready(world: World) -> dict[str, str]:
    """Return what is not ready, and why."""
    assert world.watcher is not None
    checks = world.watcher.readiness()
    return {name: why for name, check in checks.items() if (why := check()) is not None}


async def test_runs_are_published_with_the_namespace_that_they_are_in() -> None:
    world, acme = world_of_two()
    async with world.watching():
        await submit(world)
        await acme.create(manifest("order-2"))
        await finish(world)
        await acme.set_status_for_test(OTHER, phase="Failed", finishedAt=FINISHED)
        await world.published("1/Submitted", "1/Succeeded")
        await world.published("1/Submitted", "1/Failed", run_id="order-2")
        await released(world)
        await later(1)
        meta = acme.object_for_test(OTHER)["metadata"]
        assert metadata.FINALIZER not in meta["finalizers"]
    places = {event.run_id: event.namespace for event in world.kafka.events_for_test()}
    assert places == {"order-1": "argo", "order-2": "acme-runs"}


async def test_what_a_list_lacks_was_deleted_in_its_own_namespace_only() -> None:
    world, acme = world_of_two()
    async with world.watching():
        await submit(world)
        await acme.create(manifest("order-2"))
        await world.published("1/Submitted", run_id="order-2")
        reads = world.workflows.calls_for_test("get")
        for _ in range(3):
            world.workflows.expire_history_for_test()
            acme.expire_history_for_test()
            world.workflows.drop_streams_for_test()
            acme.drop_streams_for_test()
            await later(60)
        assert world.workflows.calls_for_test("get") == reads
        assert acme.calls_for_test("get") == 0
        acme.drop_streams_for_test()
        await acme.change_for_test(OTHER, lambda obj: obj["metadata"].update(finalizers=[]))
        await acme.delete_for_test(OTHER)
        acme.expire_history_for_test()
        await world.published("1/Submitted", "1/Deleted", run_id="order-2")
    assert world.kafka.phases_for_test() == ["1/Submitted"]


async def test_a_restarted_watcher_misses_no_workflow_of_another_namespace() -> None:
    """What is recalled of one namespace is not missing in the list of another."""
    world, acme = world_of_two()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        hold = world.workflows.hold_for_test("patch", after=1)
        await finish(world)
        await world.published("1/Submitted", "1/Succeeded")
    hold.set()
    world.workflows.heal_for_test()
    async with world.watching():
        await world.until(lambda: acme.streams_for_test() == 1)
        await later(10)
        assert world.metric("outcomes_recovered_total") == 1
        assert world.metric("tracked_workflows") == 1
        await released(world)
    assert world.results() == ["1/Succeeded"]


async def test_a_denied_namespace_stops_nothing_elsewhere_and_is_named() -> None:
    world, acme = world_of_two()
    deny(acme)
    with capture_logs() as logs:
        async with world.starting():
            await submit(world)
            await finish(world)
            await released(world)
            assert world.results() == ["1/Succeeded"]
            assert unready(world) == {
                "recovery": "namespace acme-runs: the results topic is not read yet "
                "(LIST: 403 Forbidden)",
                "workflows": "namespace acme-runs: the Workflows are not listed yet "
                "(LIST: 403 Forbidden)",
            }
            assert world.metric("namespace_watched", workflow_namespace="argo") == 1
            assert world.metric("namespace_watched", workflow_namespace="acme-runs") == 0
            await acme.create(manifest("order-2"))
            acme.heal_for_test()
            await world.published("1/Submitted", run_id="order-2")
            assert unready(world) == {}
            assert world.metric("namespace_watched", workflow_namespace="acme-runs") == 1
    failed = [each for each in logs if each["event"] == "recovery failed"]
    assert failed
    assert {each["error"] for each in failed} == {"LIST: 403 Forbidden"}


async def test_a_namespace_that_is_denied_later_keeps_the_leader() -> None:
    world, acme = world_of_two()
    lease = FakeLease()
    async with world.starting(ada := elector_of("ada", lease)):
        await world.until(lambda: acme.streams_for_test() == 1)
        leader = world.watcher
        # A standby that has tried before finds out only once it leads.
        async with world.starting(bob := elector_of("bob", lease)):
            await later(60)
            deny(acme)
            acme.drop_streams_for_test()
            await later(600)
            world.watcher = leader
            assert "workflows" in unready(world)
            assert ada.is_leader
            assert not bob.is_leader
            await submit(world)
            await world.published("1/Submitted")


async def test_a_standby_leads_although_one_namespace_is_denied() -> None:
    world, acme = world_of_two()
    deny(acme)
    lease = FakeLease()
    async with world.starting(ada := elector_of("ada", lease)):
        await submit(world)
        await world.published("1/Submitted")
        assert ada.is_leader
        async with world.starting(bob := elector_of("bob", lease)):
            await later(60)
            assert not bob.is_leader
            assert unready(world) == {"preflight": "namespace acme-runs: LIST: 403 Forbidden"}


async def test_nobody_leads_who_is_denied_every_namespace() -> None:
    world, acme = world_of_two()
    deny(acme)
    deny(world.workflows)
    async with world.starting(ada := elector_of("ada", FakeLease())):
        await later(600)
        assert not ada.is_leader
        assert unready(world)["preflight"] == "LIST: 403 Forbidden"


async def test_a_namespace_without_an_answer_keeps_a_standby_from_leading() -> None:
    """Another process may get through; so this one does not take its place."""
    world, acme = world_of_two()
    acme.fail_for_test("list_page", *[ApiUnavailableError("503")] * 1000)
    async with world.starting(ada := elector_of("ada", FakeLease())):
        await later(600)
        assert not ada.is_leader
        acme.heal_for_test()
        await ada.wait()
