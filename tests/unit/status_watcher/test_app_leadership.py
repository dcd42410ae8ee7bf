"""Of several status-watchers one works."""

import asyncio
import contextlib
from functools import partial

import pytest

from sluice_runtime.kubernetes.errors import ApiUnavailableError
from sluice_runtime.supervision import TaskEndedError
from sluice_status_watcher.services.leader_election import LeaseElector, LeaseLostError
from sluice_status_watcher.settings import LeaseSettings
from tests.support.fake_lease import FakeLease
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.scenes import finish, released, submit
from tests.unit.status_watcher.world import FakeKafka, World, later

pytestmark = pytest.mark.looptime


def elector_of(holder: str, lease: FakeLease) -> LeaseElector:
    return LeaseElector(lease, LeaseSettings(name="leader"), holder=holder)


async def test_one_watcher_works_and_the_standby_is_ready() -> None:
    world, lease = World(), FakeLease()
    async with world.starting(elector_of("ada", lease)):
        await world.until(lambda: world.workflows.streams_for_test() == 1)
        assert world.metric("is_leader") == 1
        async with world.starting(bob := elector_of("bob", lease)):
            await later(600)
            assert not bob.is_leader
            assert world.watcher is not None
            ready = world.watcher.readiness()
            assert {name: check() for name, check in ready.items()} == dict.fromkeys(ready)
            assert world.metric("is_leader") == 0
            await submit(world)
            await world.published("1/Submitted")
            assert world.workflows.streams_for_test() == 1


async def test_failed_preflight_means_neither_ready_nor_leader() -> None:
    world, lease, nowhere = World(), FakeLease(), FakeKafka()
    forbidden = FakeWorkflows()
    forbidden.fail_for_test("list_page", *[ApiUnavailableError("list: 403 Forbidden")] * 3)
    nowhere.fail_scans_for_test(times=3)
    async with world.starting(ada := elector_of("ada", lease), workflows=forbidden, kafka=nowhere):
        assert world.watcher is not None
        rehearsal = world.watcher.readiness()["preflight"]
        assert rehearsal() == "nothing was tried yet"
        seen = []
        while not ada.is_leader:
            seen.append(rehearsal())
            await later(0.1)
        assert "list: 403 Forbidden" in seen
        assert "results: no broker answered" in seen
        assert rehearsal() is None


async def test_leader_without_kafka_loses_leadership() -> None:
    world, lease, cut_off = World(), FakeLease(), FakeKafka()
    ada, bob = elector_of("ada", lease), elector_of("bob", lease)

    async def cut_ada_off() -> None:
        async with world.starting(ada, kafka=cut_off):
            await ada.wait()
            async with world.starting(bob):
                cut_off.go_away_for_test()
                await submit(world)
                await finish(world)
                await released(world)
                assert bob.is_leader

    with pytest.raises(TaskEndedError, match="leader election ended by itself"):
        await cut_ada_off()
    assert world.results() == ["1/Succeeded"]


async def test_standby_that_cannot_read_the_lease_is_not_ready() -> None:
    world, lease = World(), FakeLease()
    lease.go_away_for_test()
    async with world.starting(elector_of("ada", lease)):
        assert world.watcher is not None
        assert world.watcher.readiness()["leader election"]() == "the Lease is not read yet"
        await later(10)
        assert world.watcher.readiness()["leader election"]() == "the Lease: no answer"
        assert world.workflows.streams_for_test() == 0


async def test_standby_finishes_the_work_of_a_killed_leader() -> None:
    world, lease = World(), FakeLease()
    ada, bob = elector_of("ada", lease), elector_of("bob", lease)
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(world.starting(ada))
        await submit(world)
        await world.published("1/Submitted")
        async with world.starting(bob):
            await later(60)
            await first.aclose()
            await finish(world)
            await released(world)
            assert bob.is_leader
    assert world.results() == ["1/Succeeded"]
    assert lease.spec_for_test["leaseTransitions"] == 1


async def test_leader_exits_when_it_sees_another_holder() -> None:
    world, lease = World(), FakeLease()
    taken = partial(lease.write_for_test, holderIdentity="bob")
    asyncio.get_running_loop().call_later(30, taken)
    with pytest.raises(TaskEndedError, match="leader election ended by itself") as caught:
        async with world.starting(elector_of("ada", lease)):
            await later(60)
    assert isinstance(caught.value.__cause__, LeaseLostError)
