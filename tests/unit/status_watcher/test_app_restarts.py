"""A kill at any moment neither loses nor repeats an outcome (fault F18)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.status_watcher.scenes import (
    MARK,
    NAME,
    finish,
    hold_mark,
    kafka_errors,
    marked,
    marks,
    released,
    reopen,
    submit,
)
from tests.unit.status_watcher.world import TOPICS, FakeKafka, World, later, moments

pytestmark = pytest.mark.looptime


async def test_published_outcome_is_not_repeated_after_a_restart() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        gate = hold_mark(world)
        await finish(world)
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Succeeded"])
        await moments()
    gate.set()
    assert marks(world) == (None, None, True)
    async with world.watching():
        await released(world)
        assert world.metric("outcomes_recovered_total") == 1
    assert world.results() == ["1/Succeeded"]
    assert marks(world) == (MARK, None, False)


async def test_workflow_deleted_during_recovery_is_forgotten() -> None:
    class Slow(FakeKafka):
        async def find(self, wanted: Mapping[str, bytes], *, since: datetime) -> Any:
            found = await super().find(wanted, since=since)
            if found:
                await world.workflows.remove_for_test(NAME)
            return found

    world = World()
    world.kafka = Slow()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        hold_mark(world)
        await finish(world)
        await world.published("1/Submitted", "1/Succeeded")
    async with world.watching():
        await moments()
        assert world.metric("outcomes_recovered_total") == 1
        assert world.metric("tracked_workflows") == 0


async def killed_between_the_topics(world: World) -> None:
    """Let only the results topic hold the outcome."""
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.kafka.fail_for_test(*kafka_errors(100), topic=TOPICS.status)
        await finish(world)
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Succeeded"])
    world.kafka.heal_for_test()


async def test_outcome_only_on_the_results_topic_is_republished() -> None:
    world = World()
    await killed_between_the_topics(world)
    async with world.watching():
        await released(world)
    await world.published("1/Submitted", "1/Succeeded")
    [result] = world.kafka.events_for_test(TOPICS.results)
    assert world.kafka.events_for_test()[1] == result
    assert world.results() == ["1/Succeeded"]


async def test_outcome_only_on_the_results_topic_is_republished_after_a_retry() -> None:
    world = World()
    await killed_between_the_topics(world)
    await reopen(world)
    async with world.watching():
        await world.published("1/Submitted", "1/Succeeded", "2/Running")
    assert world.results() == ["1/Succeeded"]


async def test_nothing_is_published_before_the_results_topic_was_read() -> None:
    world = World()
    await submit(world)
    await finish(world)
    world.kafka.fail_scans_for_test(times=5)
    async with world.starting():
        await released(world)
    assert len(world.kafka.scans) == 6
    assert world.results() == ["1/Succeeded"]


async def test_pending_release_is_made_after_a_restart(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world)
        await marked(world)
    async with world.watching():
        started = float(looptime)
        await released(world)
        assert looptime == started + world.release_after
    assert world.kafka.scans == []
    assert world.results() == ["1/Succeeded"]


async def test_recovered_outcome_delays_the_release_in_full(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        gate = hold_mark(world)
        await finish(world)
        await world.published("1/Submitted", "1/Succeeded")
        await moments()
    gate.set()
    # Written by a clock that is far behind.
    world.kafka.age_for_test(timedelta(days=1))
    async with world.watching():
        started = float(looptime)
        await released(world)
        assert looptime == started + world.release_after
    assert world.results() == ["1/Succeeded"]


async def test_released_workflow_is_not_changed_by_a_restart() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world)
        await released(world)
    before = world.workflows.object_for_test(NAME), len(world.kafka.records)
    async with world.watching():
        await later(100)
    assert (world.workflows.object_for_test(NAME), len(world.kafka.records)) == before
