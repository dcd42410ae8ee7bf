"""Watchers whose connections to Kafka fail independently, and their records in flight."""

import pytest

from tests.unit.status_watcher.manifests import FINISHED, FINISHED_AGAIN
from tests.unit.status_watcher.scenes import (
    NAME,
    claim,
    finish,
    gone,
    marked,
    marks,
    released,
    reopen,
    submit,
    touch,
)
from tests.unit.status_watcher.world import TOPICS, FakeKafka, World, later

pytestmark = pytest.mark.looptime


async def cut_off_with_its_claim(world: World, cut_off: FakeKafka) -> None:
    """Let a watcher claim an end that it cannot publish."""
    await submit(world)
    await world.published("1/Submitted")
    cut_off.go_away_for_test()
    await finish(world, "Failed")
    await world.until(lambda: claim(world) is not None)
    await touch(world)


async def test_holder_without_kafka_does_not_repeat_an_outcome() -> None:
    world = World()
    cut_off = FakeKafka(same_as=world.kafka)
    async with world.starting(kafka=cut_off):
        await cut_off_with_its_claim(world, cut_off)
        async with world.watching():
            await released(world)
            cut_off.come_back_for_test()
            await later(600)
    assert world.results() == ["1/Failed"]
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Failed"]


async def test_holder_without_kafka_does_not_publish_an_earlier_attempt() -> None:
    world = World()
    cut_off = FakeKafka(same_as=world.kafka)
    async with world.starting(kafka=cut_off):
        await cut_off_with_its_claim(world, cut_off)
        async with world.watching():
            await marked(world, f"1/Failed@{FINISHED}")
            await reopen(world)
            await world.until(lambda: marks(world)[1] == "2")
            await finish(world, at=FINISHED_AGAIN)
            await released(world)
            cut_off.come_back_for_test()
            await later(600)
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_outcome_appended_late_is_followed_by_the_last_attempt() -> None:
    """The sender gives up and dies; a broker appends the record after the next end."""
    world = World()
    stuck = FakeKafka(same_as=world.kafka)
    async with world.starting(kafka=stuck):
        await submit(world)
        await world.published("1/Submitted")
        stuck.get_stuck_for_test()
        await finish(world, "Failed")
        await later(4)
    async with world.watching():
        await marked(world, f"1/Failed@{FINISHED}")
        await reopen(world)
        await world.until(lambda: marks(world)[1] == "2")
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
        assert world.results() == ["1/Failed", "2/Succeeded"]
        await stuck.land_for_test(all_of_them=True)
        await later(10)
        assert world.metric("outcomes_restored_total") == 1
    assert world.results() == ["1/Failed", "2/Succeeded", "1/Failed", "2/Succeeded"]
    *_, first, _, again = world.kafka.events_for_test(TOPICS.results)
    assert first == again


async def test_outcome_appended_late_without_a_watcher_is_found_by_the_next() -> None:
    world = World()
    stuck = FakeKafka(same_as=world.kafka)
    async with world.starting(kafka=stuck):
        await submit(world)
        await world.published("1/Submitted")
        stuck.get_stuck_for_test()
        await finish(world, "Failed")
        await later(4)
    async with world.watching():
        await marked(world, f"1/Failed@{FINISHED}")
        await reopen(world)
        await world.until(lambda: marks(world)[1] == "2")
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
    await stuck.land_for_test(all_of_them=True)
    assert world.results() == ["1/Failed", "2/Succeeded", "1/Failed"]
    for _ in range(2):
        async with world.watching():
            await later(10)
        # The second one finds it repaired.
        assert world.results() == ["1/Failed", "2/Succeeded", "1/Failed", "2/Succeeded"]


async def test_outcome_of_a_deleted_workflow_waits_for_kafka() -> None:
    """No object is left to read, so the last state is kept without details."""
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.kafka.go_away_for_test()
        await finish(world, "Failed", message="why")
        await world.until(lambda: claim(world) is not None)
        await world.workflows.delete_for_test(NAME)
        await world.workflows.change_for_test(NAME, lambda o: o["metadata"]["finalizers"].clear())
        await gone(world)
        await later(600)
        assert world.results() == []
        world.kafka.come_back_for_test()
        await world.published("1/Submitted", "1/Failed")
        await later(60)
        assert world.metric("tracked_workflows") == 0
    (result,) = world.kafka.events_for_test(TOPICS.results)
    assert result.message is None
    assert result.truncated
