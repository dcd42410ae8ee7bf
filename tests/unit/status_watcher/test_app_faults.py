"""A silent watch, lost history, an outage of Kafka, two watchers (faults F15 to F17 and F19)."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from sluice_runtime.kubernetes.errors import ConflictError, error_for
from tests.support.fake_workflows import Operation
from tests.unit.status_watcher.manifests import FINISHED_AGAIN, name_of
from tests.unit.status_watcher.scenes import NAME, finish, marks, released, reopen, submit
from tests.unit.status_watcher.world import World, later, moments

pytestmark = pytest.mark.looptime


async def test_end_behind_a_silent_watch_is_published_within_90_seconds(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        silent_since = float(looptime)
        world.workflows.go_silent_for_test()
        await finish(world)
        await world.published("1/Submitted", "1/Succeeded")
        assert looptime - silent_since < 90
        assert world.metric("relists_total", reason="silence") == 1


async def test_ends_while_the_watcher_is_down_are_published_before_deletion() -> None:
    world = World()
    for number in range(20):
        await submit(world, f"order-{number}")
    async with world.watching():
        await world.published("1/Submitted", run_id="order-19")
    for number in range(20):
        await finish(world, name=name_of(f"order-{number}"))
        await world.workflows.delete_for_test(name_of(f"order-{number}"))
    world.workflows.expire_history_for_test()
    assert len(world.workflows.names_for_test()) == 20
    async with world.watching():
        await world.until(lambda: not world.workflows.names_for_test())
        await moments()
        assert world.metric("tracked_workflows") == 0
    for number in range(20):
        assert world.results(run_id=f"order-{number}") == ["1/Succeeded"]


async def test_outage_of_kafka_loses_nothing() -> None:
    world = World(max_pending=5, concurrency=2)
    async with world.watching():
        world.kafka.go_away_for_test()
        for number in range(20):
            await submit(world, f"order-{number}")
            await finish(world, name=name_of(f"order-{number}"))
        await later(3600)
        assert world.kafka.records == []
        assert world.metric("pending_states") <= 5
        world.kafka.come_back_for_test()
        await world.until(
            lambda: all(
                not world.workflows.object_for_test(name)["metadata"]["finalizers"]
                for name in world.workflows.names_for_test()
            )
        )
    for number in range(20):
        assert world.results(run_id=f"order-{number}") == ["1/Succeeded"]


async def test_unseen_deletion_is_published_and_forgotten() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        gate = world.workflows.hold_for_test("list_page")
        world.workflows.drop_streams_for_test()
        await world.workflows.remove_for_test(NAME)
        world.workflows.expire_history_for_test()
        with capture_logs() as logs:
            gate.set()
            await later(60)
        assert world.metric("tracked_workflows") == 0
        assert [log for log in logs if log["event"] == "workflow deleted without outcome"]
    assert world.results() == ["1/Deleted"]
    one, other = world.kafka.events_for_test()
    assert other.sequence > one.sequence
    assert other.truncated


async def test_two_watchers_publish_the_same_events() -> None:
    world = World()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(world.watching())
        await submit(world)
        await world.workflows.set_status_for_test(NAME, phase="Running")
        await finish(world, "Failed")
        await released(world)
        await reopen(world)
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
        await moments()
    assert set(world.results()) == {"1/Failed", "2/Succeeded"}
    events = sorted(world.kafka.events_for_test(), key=lambda event: event.sequence)
    assert len({event.event_id for event in events}) == len({event.sequence for event in events})
    phases = [f"{event.attempt}/{event.phase}" for event in events]
    assert phases == sorted(phases, key=lambda phase: phase[0])
    assert marks(world)[::2] == (f"2/Succeeded@{FINISHED_AGAIN}", False)


@pytest.mark.parametrize("operation", ["list_page", "watch", "get", "patch"])
@pytest.mark.parametrize(("code", "reason"), [(500, "InternalError"), (400, "BadRequest")])
async def test_values_in_errors_of_the_cluster_are_not_logged(
    operation: Operation, code: int, reason: str
) -> None:
    world = World()
    await submit(world)
    message = 'failed calling webhook "w.example": "correct-horse" is not a number'
    answer = json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()
    world.workflows.fail_for_test(operation, error_for(code, answer, what="IT /workflows"))
    if operation == "get":
        # The object is read after a conflict.
        world.workflows.fail_for_test("patch", ConflictError("", status=409, reason="Conflict"))
    with capture_logs() as logs:
        async with world.watching():
            await world.published("1/Submitted")
            await finish(world)
            await released(world)
    said = f"IT /workflows: {code} {reason} by webhook w.example"
    assert said in [log.get("error") for log in logs]
    assert "correct-horse" not in repr(logs)
