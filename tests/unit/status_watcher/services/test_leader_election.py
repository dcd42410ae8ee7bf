"""One of several processes is the leader."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from sluice_runtime.kubernetes.errors import ApiUnavailableError
from sluice_status_watcher.services.leader_election import (
    AlwaysLeader,
    HealthCheck,
    LeaseElector,
    LeaseLostError,
)
from sluice_status_watcher.settings import LeaseSettings
from tests.support.fake_lease import FakeLease
from tests.unit.status_watcher.world import later, moments

pytestmark = pytest.mark.looptime

# An attempt every 3 s, a Lease of 15 s.
SETTINGS = LeaseSettings(name="leader")


def elector_of(holder: str, lease: FakeLease) -> LeaseElector:
    return LeaseElector(lease, SETTINGS, holder=holder, uniform=lambda _, most: most)


def in_between(holder: str, lease: FakeLease) -> LeaseElector:
    """Return an elector out of step with the others: simultaneous writes are refused."""
    return LeaseElector(lease, SETTINGS, holder=holder, uniform=lambda least, _: least)


def because_of(trouble: list[str]) -> HealthCheck:
    """Return a check that fails for as long as the list is not empty."""
    return lambda: trouble[0] if trouble else None


@contextlib.asynccontextmanager
async def waiting(
    elector: LeaseElector, *, unhealthy: HealthCheck = lambda: None
) -> AsyncIterator[asyncio.Task[None]]:
    """Run an elector; leaving is a SIGKILL."""
    running = asyncio.create_task(elector.run(unhealthy=unhealthy))
    try:
        yield running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, LeaseLostError):
            await running


async def test_first_process_becomes_leader_at_once(looptime: Any) -> None:
    lease = FakeLease()
    async with waiting(ada := elector_of("ada", lease)):
        await ada.wait()
    assert looptime == 0
    assert lease.spec_for_test["holderIdentity"] == "ada"


async def test_second_process_waits_while_the_first_renews() -> None:
    lease = FakeLease()
    ada, bob = elector_of("ada", lease), in_between("bob", lease)
    async with waiting(ada), waiting(bob):
        await later(3600)
        assert (ada.is_leader, bob.is_leader) == (True, False)
        assert lease.spec_for_test["leaseTransitions"] == 0


async def test_expired_lease_is_acquired_after_a_crash(looptime: Any) -> None:
    lease = FakeLease()
    bob = elector_of("bob", lease)
    async with waiting(elector_of("ada", lease)):
        await later(60)
    async with waiting(bob):
        await bob.wait()
    # The time counts from its own first attempt, not from the clock of another process.
    assert looptime == 60 + 15
    assert lease.spec_for_test["leaseTransitions"] == 1


async def test_released_lease_is_acquired_at_the_next_attempt(looptime: Any) -> None:
    lease = FakeLease()
    ada, bob = elector_of("ada", lease), elector_of("bob", lease)
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(waiting(ada))
        await ada.wait()
        async with waiting(bob):
            await later(61)
            assert not bob.is_leader
            await first.aclose()
            await ada.release()
            assert not ada.is_leader
            await bob.wait()
    assert looptime <= 61 + 3


async def test_release_survives_a_renewal_under_way() -> None:
    lease = FakeLease()
    async with waiting(ada := elector_of("ada", lease)):
        await ada.wait()
    lease.conflict_for_test()
    await ada.release()
    assert "holderIdentity" not in lease.spec_for_test


async def test_restarted_holder_continues_at_once(looptime: Any) -> None:
    lease = FakeLease()
    for _ in range(2):
        async with waiting(ada := elector_of("ada", lease)):
            await ada.wait()
    assert looptime == 0


async def test_unhealthy_process_does_not_become_leader() -> None:
    lease, trouble = FakeLease(), ["Kafka: away"]
    ada = elector_of("ada", lease)
    async with waiting(ada, unhealthy=because_of(trouble)):
        await later(60)
        assert not ada.is_leader
        trouble.clear()
        await ada.wait()


async def test_unhealthy_leader_loses_the_lease_to_a_healthy_one(looptime: Any) -> None:
    lease, trouble = FakeLease(), list[str]()
    ada, bob = elector_of("ada", lease), elector_of("bob", lease)
    async with waiting(ada, unhealthy=because_of(trouble)) as running:
        await ada.wait()
        async with waiting(bob):
            await later(60)
            trouble.append("Kafka: away")
            await bob.wait()
            assert looptime <= 60 + 15 + 3
            with pytest.raises(LeaseLostError, match="bob has acquired the Lease"):
                await running


async def test_leader_stays_if_all_are_unhealthy() -> None:
    lease, trouble = FakeLease(), list[str]()
    ada, bob = elector_of("ada", lease), elector_of("bob", lease)
    unhealthy = because_of(trouble)
    async with waiting(ada, unhealthy=unhealthy) as running, waiting(bob, unhealthy=unhealthy):
        await ada.wait()
        trouble.append("Kafka: away")
        await later(3600)
        trouble.clear()
        await later(60)
        assert (ada.is_leader, bob.is_leader, running.done()) == (True, False, False)


async def test_leader_that_cannot_renew_works_until_it_sees_another_holder() -> None:
    lease = FakeLease()
    ada = elector_of("ada", lease)
    async with waiting(ada) as running:
        await ada.wait()
        lease.go_away_for_test()
        await later(3600)
        assert ada.is_leader
        assert ada.unknown() is None
        lease.write_for_test(holderIdentity="bob")
        lease.come_back_for_test()
        with pytest.raises(LeaseLostError, match="bob has acquired the Lease"):
            await running


async def test_leader_stays_if_the_lease_is_unchanged_after_an_outage() -> None:
    lease = FakeLease()
    ada = elector_of("ada", lease)
    async with waiting(ada) as running:
        await ada.wait()
        lease.go_away_for_test()
        await later(3600)
        lease.come_back_for_test()
        await later(60)
        assert ada.is_leader
        assert not running.done()


async def test_simultaneous_attempts_elect_one_leader() -> None:
    for held in (False, True):
        lease = FakeLease()
        if held:
            lease.write_for_test(holderIdentity="eve", leaseDurationSeconds=15)
        ada, bob = elector_of("ada", lease), elector_of("bob", lease)
        async with waiting(ada), waiting(bob):
            await later(120)
            assert [ada.is_leader, bob.is_leader].count(True) == 1


async def test_lost_answer_is_found_at_the_next_attempt(looptime: Any) -> None:
    lease = FakeLease()
    lease.lose_answers_for_test(times=1)
    ada = elector_of("ada", lease)
    async with waiting(ada):
        await ada.wait()
    assert looptime == 3
    assert lease.spec_for_test["leaseTransitions"] == 0


async def test_times_of_other_clocks_are_not_interpreted() -> None:
    lease = FakeLease()
    ada, bob = elector_of("ada", lease), in_between("bob", lease)
    async with waiting(ada), waiting(bob):
        for year in ("1970", "2999"):
            lease.write_for_test(renewTime=f"{year}-01-01T00:00:00.000000Z")
            await later(3)
        assert (ada.is_leader, bob.is_leader) == (True, False)


async def test_lease_of_a_dead_holder_expires_despite_other_writers() -> None:
    lease = FakeLease()
    lease.write_for_test(holderIdentity="eve", leaseDurationSeconds=2147483647)
    async with waiting(ada := elector_of("ada", lease)):
        for number in range(20):
            lease.write_for_test(leaseTransitions=number)
            await later(1)
        assert ada.is_leader


async def test_deleted_lease_is_created_again() -> None:
    lease = FakeLease()
    async with waiting(ada := elector_of("ada", lease)):
        await ada.wait()
        lease.delete_for_test()
        await later(4)
        assert lease.spec_for_test["holderIdentity"] == "ada"


async def test_unknown_leader_has_a_reason() -> None:
    lease = FakeLease()
    lease.write_for_test(holderIdentity="ada", leaseDurationSeconds=15)
    bob = elector_of("bob", lease)
    assert bob.unknown() == "the Lease is not read yet"
    lease.fail_for_test(ApiUnavailableError("GET …: 403 Forbidden"))
    with capture_logs() as logs:
        async with waiting(bob):
            await moments()
            assert bob.unknown() == "GET …: 403 Forbidden"
            await later(4)
            assert bob.unknown() is None
            assert not bob.is_leader
    assert [log["event"] for log in logs] == ["Lease not readable"]


async def test_release_keeps_the_lease_of_another_holder() -> None:
    lease = FakeLease()
    await elector_of("bob", lease).release()
    lease.write_for_test(holderIdentity="ada")
    await elector_of("bob", lease).release()
    assert lease.spec_for_test["holderIdentity"] == "ada"


async def test_failed_release_is_logged() -> None:
    lease = FakeLease()
    async with waiting(ada := elector_of("ada", lease)):
        await ada.wait()
    lease.go_away_for_test()
    with capture_logs() as logs:
        await ada.release()
    assert [log["event"] for log in logs] == ["Lease not released"]


async def test_always_leader_needs_no_election() -> None:
    alone = AlwaysLeader()
    await alone.wait()
    assert alone.is_leader
    assert alone.unknown() is None
    running = asyncio.create_task(alone.run(unhealthy=lambda: None))
    await later(3600)
    assert not running.done()
    running.cancel()
    await alone.release()
