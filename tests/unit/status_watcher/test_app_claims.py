"""Several status-watchers without an election still publish each outcome as one event."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.outcomes import Claim, Outcome, encode_claim
from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.status import Phase
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
)
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, FINISHED_AGAIN, Json, name_of
from tests.unit.status_watcher.scenes import (
    NAME,
    claim,
    finish,
    gone,
    hold_mark,
    marks,
    released,
    reopen,
    submit,
    touch,
)
from tests.unit.status_watcher.world import TOPICS, FakeKafka, World, later, moments

pytestmark = pytest.mark.looptime

OUTCOME = Outcome(attempt=1, phase=Phase.SUCCEEDED, finished_at=parse_timestamp(FINISHED))


async def claimed_elsewhere(world: World) -> Claim:
    """Let a watcher claim the end of the run, and die."""
    await submit(world)
    await finish(world, message="done")
    version = world.workflows.object_for_test(NAME)["metadata"]["resourceVersion"]
    made = Claim(outcome=OUTCOME, sequence=int(version), holder="another")
    mark = {metadata.OUTCOME_CLAIM: encode_claim(made)}
    await world.workflows.change_for_test(NAME, lambda o: o["metadata"]["annotations"].update(mark))
    return made


async def test_three_watchers_publish_each_outcome_once() -> None:
    world, runs = World(), [f"order-{number}" for number in range(20)]
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(world.starting())
        for run in runs:
            await submit(world, run)
        for run in runs:
            await finish(world, name=name_of(run))
            await moments(3)
        await later(world.release_after + 50)
        for run in runs:
            meta = world.workflows.object_for_test(name_of(run))["metadata"]
            assert metadata.FINALIZER not in meta["finalizers"]
    published = [event.run_id for event in world.kafka.events_for_test(TOPICS.results)]
    assert sorted(published) == sorted(runs)
    ends = [event.run_id for event in world.kafka.events_for_test() if event.terminal]
    assert sorted(ends) == sorted(runs)


async def test_end_is_claimed_before_it_is_published() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.kafka.hold_for_test()
        await finish(world)
        await later(60)
        made = claim(world)
    assert made is not None
    assert made.outcome == OUTCOME
    assert world.results() == []


async def test_claim_of_another_holder_is_left_alone_for_some_seconds() -> None:
    world = World()
    made = await claimed_elsewhere(world)
    async with world.watching():
        await later(4)
        assert world.kafka.phases_for_test() == []
        await released(world)
    (result,) = world.kafka.events_for_test(TOPICS.results)
    assert (result.sequence, result.message, result.truncated) == (made.sequence, "done", False)
    assert world.kafka.events_for_test() == [result]


async def test_outcome_of_a_dead_holder_is_published_once() -> None:
    """The holder publishes once another has started, and dies before it can mark that."""
    world, elsewhere = World(), FakeKafka()
    elsewhere.records = world.kafka.records
    async with contextlib.AsyncExitStack() as other:
        await other.enter_async_context(world.starting(kafka=elsewhere))
        await submit(world)
        await world.published("1/Submitted")
        published, mark = elsewhere.hold_for_test(), hold_mark(world)
        await finish(world)
        await world.until(lambda: claim(world) is not None)
        async with world.watching():
            published.set()
            await elsewhere.wait_for_test(
                lambda: elsewhere.phases_for_test() == ["1/Submitted", "1/Succeeded"]
            )
            await other.aclose()
            mark.set()
            await released(world)
    assert world.results() == ["1/Succeeded"]
    # The status topic may lack it, so the same event is written there again.
    first, again = (event for event in world.kafka.events_for_test() if event.terminal)
    assert first == again


async def test_results_are_asked_about_a_claim_until_kafka_answers() -> None:
    world = World()
    async with world.watching():
        await claimed_elsewhere(world)
        world.kafka.fail_scans_for_test(times=3)
        await released(world)
    assert world.results() == ["1/Succeeded"]


async def test_claimed_outcome_is_published_after_a_retry() -> None:
    world = World()
    made = await claimed_elsewhere(world)
    await reopen(world)
    async with world.watching():
        await world.published("1/Succeeded", "2/Running")
        await world.until(lambda: marks(world) == (None, "2", True))
        assert claim(world) is None
        await finish(world, "Failed", at=FINISHED_AGAIN)
        await released(world)
    first, second = world.kafka.events_for_test(TOPICS.results)
    assert (first.sequence, first.finished_at) == (made.sequence, OUTCOME.finished_at)
    # Its details are not known any more.
    assert (first.truncated, first.message, first.steps) == (True, None, ())
    assert (second.attempt, second.phase, second.truncated) == (2, Phase.FAILED, False)


async def test_claimed_outcome_is_published_after_an_unseen_deletion() -> None:
    world = World()
    async with world.watching():
        made = await claimed_elsewhere(world)
        await moments()
        world.workflows.go_silent_for_test()
        await world.workflows.remove_for_test(NAME)
        world.workflows.expire_history_for_test()
        world.workflows.drop_streams_for_test()
        world.workflows.speak_again_for_test()
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Succeeded"])
    (result,) = world.kafka.events_for_test(TOPICS.results)
    assert result.sequence == made.sequence


async def test_concurrent_claims_publish_one_outcome() -> None:
    """One watcher sees a deletion, and the other the failure that it causes."""
    world = World()
    async with world.starting(), world.starting():
        await submit(world)
        await world.workflows.set_status_for_test(NAME, phase="Running")
        await later(1)
        await world.workflows.delete_for_test(NAME)
        await finish(world, "Failed")
        await gone(world)
        await later(60)
    assert len(world.results()) == 1


async def test_two_watchers_take_over_a_claim_once() -> None:
    world = World()
    async with world.starting(), world.starting():
        await claimed_elsewhere(world)
        await released(world)
        await later(60)
        assert world.metric("claims_taken_over_total") <= 1
    assert world.results() == ["1/Succeeded"]


async def test_published_claim_is_found_after_a_second_end() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        mark = hold_mark(world)
        await finish(world, message="done")
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Succeeded"])
        await moments()
    mark.set()
    await reopen(world)
    # Long after the published end.
    await finish(world, "Failed", at="2099-01-01T00:00:00Z")
    async with world.watching():
        await released(world)
    assert world.results() == ["1/Succeeded", "2/Failed"]
    assert not any(event.truncated for event in world.kafka.events_for_test(TOPICS.results))


ERRORS = [
    RefusedError("403", status=403, reason="Forbidden"),
    NotFoundError("404", status=404, reason="NotFound"),
    ConflictError("422", status=422, reason="Invalid"),
    ApiUnavailableError("500: etcdserver: request is too large"),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("touched_every", [1, 10, 100])
async def test_unclaimable_outcome_is_published_after_a_while(
    error: Exception, touched_every: int, looptime: Any
) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.workflows.fail_for_test("patch", *itertools.repeat(error, 1000))
        await finish(world)
        ended = float(looptime)
        while not world.results():
            await touch(world)
            await later(touched_every)
        assert looptime - ended <= 30 + max(touched_every, 30)
        assert world.metric("unclaimed_outcomes_total") == 1
        world.workflows.heal_for_test()
        await released(world)
    assert world.results() == ["1/Succeeded"]


async def test_outcome_is_published_though_its_claim_is_reverted() -> None:
    class Undoing(FakeWorkflows):
        async def patch(self, name: str, operations: Sequence[Json]) -> Json:
            await super().patch(name, operations)
            return await self.change_for_test(
                name, lambda o: o["metadata"]["annotations"].pop(metadata.OUTCOME_CLAIM, None)
            )

    world = World()
    world.workflows = Undoing()
    async with world.watching():
        await submit(world)
        await finish(world)
        await later(100)
        assert world.results() == ["1/Succeeded"]
        patches = world.workflows.calls_for_test("patch")
        await later(600)
        assert world.workflows.calls_for_test("patch") - patches < 200


async def test_two_watchers_that_cannot_claim_publish_the_same_event() -> None:
    class Facade(FakeWorkflows):
        """The API server as one of them sees it."""

        refusing = True

        async def patch(self, name: str, operations: Sequence[Json]) -> Json:
            if self.refusing:
                raise ApiUnavailableError("403: admission policy")
            return await world.workflows.patch(name, operations)

    world = World()
    one, other = Facade(), Facade()
    for facade in (one, other):
        facade.get = world.workflows.get  # type: ignore[method-assign]
        facade.list_page = world.workflows.list_page  # type: ignore[method-assign]
        facade.watch = world.workflows.watch  # type: ignore[method-assign]
    async with world.starting(workflows=one), world.starting(workflows=other):
        await submit(world)
        await later(1)
        await finish(world)
        await world.kafka.wait_for_test(lambda: world.results() != [])
        await touch(world)
        one.refusing = other.refusing = False
        await released(world)
        await later(60)
    ends = world.kafka.events_for_test(TOPICS.results)
    assert len({(event.event_id, event.sequence) for event in ends}) == 1


async def test_results_are_not_read_at_every_change() -> None:
    world = World()
    async with world.watching():
        await claimed_elsewhere(world)
        await later(1)
        world.kafka.fail_scans_for_test(times=1000)
        asked = len(world.kafka.scans)
        for _ in range(100):
            await touch(world)
            await later(0.2)
        assert len(world.kafka.scans) - asked < 10
        world.kafka.fail_scans_for_test(times=0)
        await released(world)
    assert world.results() == ["1/Succeeded"]


async def test_claim_with_a_lost_answer_is_published_by_its_holder() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.workflows.lose_answers_for_test("patch")
        await finish(world)
        # Before another watcher would take the claim over.
        async with asyncio.timeout(4):
            await world.published("1/Submitted", "1/Succeeded")
