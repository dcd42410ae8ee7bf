"""The status-watcher as a whole, in a world where everything can go wrong (faults F15 to F20)."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from sluice_contracts import metadata
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
)
from sluice_runtime.supervision import TaskEndedError
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import (
    FINISHED,
    FINISHED_AGAIN,
    Json,
    manifest,
    node,
    nodes,
)
from tests.unit.status_watcher.world import TOPICS, FakeKafka, World, later, moments

pytestmark = pytest.mark.looptime

NAME = "run-order-1"
MARK = f"1/Succeeded@{FINISHED}"


async def submit(world: World, run_id: str = "order-1", **more: Any) -> None:
    await world.workflows.create(manifest(run_id, **more))


async def finish(
    world: World, phase: str = "Succeeded", *, at: str = FINISHED, name: str = NAME, **more: Any
) -> None:
    await world.workflows.set_status_for_test(name, phase=phase, finishedAt=at, **more)


async def reopen(world: World) -> None:
    """Do what `argo retry` does."""
    await world.workflows.set_status_for_test(NAME, phase="Running", finishedAt=None)


def marks(world: World) -> tuple[str | None, str | None, bool]:
    """The published mark, the attempt, and whether our finalizer holds the object."""
    meta = world.workflows.object_for_test(NAME)["metadata"]
    annotations = meta["annotations"]
    held = metadata.FINALIZER in meta["finalizers"]
    return annotations.get(metadata.PUBLISHED), annotations.get(metadata.ATTEMPT), held


async def marked(world: World, mark: str = MARK) -> None:
    await world.until(lambda: marks(world)[0] == mark)


async def released(world: World) -> None:
    await world.until(lambda: not marks(world)[2])


async def gone(world: World) -> None:
    await world.until(lambda: NAME not in world.workflows.names_for_test())


async def test_a_run_is_told_from_its_beginning_to_its_end_and_then_released(
    looptime: Any,
) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        await world.workflows.set_status_for_test(NAME, phase="Pending")
        await world.told("1/Submitted", "1/Pending")
        await world.workflows.set_status_for_test(
            NAME, phase="Running", nodes=nodes(node("a", phase="Running"))
        )
        await world.told("1/Submitted", "1/Pending", "1/Running")
        assert world.results() == []
        await finish(world)
        await marked(world)
        assert world.results() == ["1/Succeeded"]
        assert marks(world) == (MARK, None, True)
        told_at = float(looptime)
        await released(world)
        assert looptime == told_at + 10
        assert marks(world) == (MARK, None, False)
        assert world.results() == ["1/Succeeded"]
    assert [e.sequence for e in world.kafka.events_for_test()] == [101, 102, 103, 104]
    assert world.metric("events_published_total", phase="Succeeded") == 1
    assert world.metric("finalizers_released_total") == 1
    assert world.metric("publish_latency_seconds_count") == 4


async def test_phases_that_come_fast_are_all_told_in_order() -> None:
    world = World()
    async with world.watching():
        hold = world.kafka.hold_for_test()
        await submit(world)
        for phase in ("Pending", "Running"):
            await world.workflows.set_status_for_test(NAME, phase=phase)
        for progress in ("1/9", "2/9", "3/9"):
            await world.workflows.set_status_for_test(NAME, progress=progress)
        await finish(world)
        await moments()
        hold.set()
        await world.told("1/Submitted", "1/Pending", "1/Running", "1/Succeeded")
        assert world.kafka.events_for_test()[2].progress == "3/9"


async def test_what_is_not_a_run_is_left_alone_and_named_once() -> None:
    world = World(watch={"relist_every": "60s"})
    foreign = manifest("foreign")
    del foreign["metadata"]["annotations"][metadata.RUN_ID]
    await world.workflows.create(foreign)
    with capture_logs() as logs:
        async with world.watching():
            await submit(world)
            await world.told("1/Submitted")
            await world.workflows.set_status_for_test("run-foreign", phase="Running")
            await later(200)
    assert len(world.kafka.records) == 1
    assert [log["name"] for log in logs if log["event"] == "not a run, left alone"] == [
        "run-foreign"
    ]
    assert "status" in world.workflows.object_for_test("run-foreign")


async def test_readiness_says_what_is_waited_for() -> None:
    world = World()
    world.kafka.fail_scans_for_test(times=1)
    await submit(world)
    async with world.starting():
        assert world.watcher is not None
        ready = world.watcher.readiness()
        await moments()
        assert ready["recovery"]() == "the results topic is not read yet"
        assert ready["workflows"]() == "the Workflows are not listed yet"
        await world.told("1/Submitted")
        assert {name: check() for name, check in ready.items()} == dict.fromkeys(ready)
        world.workflows.go_silent_for_test()
        world.workflows.hold_for_test("list_page")
        await later(120)
        assert str(ready["workflows"]()).startswith("the API server was last heard")
        world.kafka.go_away_for_test()
        assert ready["kafka"]() == "Kafka: away"


# The release.


async def test_nothing_is_released_before_both_topics_have_acknowledged() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        world.kafka.fail_for_test(*kafka_errors(20), topic=TOPICS.results)
        await finish(world)
        await world.told("1/Submitted", "1/Succeeded")
        await later(60)
        assert marks(world) == (None, None, True)
        await released(world)
        assert world.results() == ["1/Succeeded"]


def kafka_errors(count: int) -> list[Exception]:
    return [KafkaUnavailableError("results: nobody is there") for _ in range(count)]


async def test_finalizers_of_others_stay() -> None:
    world = World()
    async with world.watching():
        held = manifest()
        gc = "workflows.argoproj.io/artifact-gc"
        held["metadata"]["finalizers"] = [gc, metadata.FINALIZER, "another/one"]
        await world.workflows.create(held)
        await finish(world)
        await released(world)
        assert world.workflows.object_for_test(NAME)["metadata"]["finalizers"] == [
            gc,
            "another/one",
        ]


async def test_a_conflict_with_the_controller_is_settled_by_reading_again() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world)
        await marked(world)
        # While the release is under way, artifact GC puts its finalizer before ours.
        gate = world.workflows.hold_for_test("patch")
        patches = world.workflows.calls_for_test("patch")
        await world.until(lambda: world.workflows.calls_for_test("patch") == patches + 1)
        await world.workflows.change_for_test(
            NAME, lambda o: o["metadata"]["finalizers"].insert(0, "artifact-gc")
        )
        gate.set()
        await released(world)
        finalizers = world.workflows.object_for_test(NAME)["metadata"]["finalizers"]
        assert finalizers == ["artifact-gc"]
        assert world.results() == ["1/Succeeded"]


async def test_conflicts_without_end_are_met_with_pauses() -> None:
    world = World()
    conflicts = [ConflictError("422", status=422, reason="Invalid") for _ in range(30)]
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        world.workflows.fail_for_test("patch", *conflicts)
        await finish(world)
        await marked(world)
        await released(world)
        assert world.workflows.calls_for_test("get") == 30
        assert world.metric("patch_failures_total", reason="conflict") == 30
    assert world.results() == ["1/Succeeded"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiUnavailableError("503", retry_after=7), "unavailable"),
        (RefusedError("400", status=400, reason="BadRequest"), "refused"),
    ],
)
async def test_a_patch_that_fails_is_tried_again_and_holds_up_nobody(
    error: Exception, reason: str
) -> None:
    world = World(concurrency=1)
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        world.workflows.fail_for_test("patch", *[error] * 10)
        await finish(world)
        await submit(world, "order-2")
        await world.told("1/Submitted", run_id="order-2")
        assert marks(world)[0] is None
        await released(world)
        assert world.metric("patch_failures_total", reason=reason) == 10


async def test_a_patch_whose_answer_is_lost_is_made_once() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        world.workflows.lose_answers_for_test("patch")
        await finish(world)
        await released(world)
        assert world.workflows.calls_for_test("patch") == 2
        assert world.results() == ["1/Succeeded"]


async def test_patches_that_are_undone_are_met_with_pauses() -> None:
    class Undoing(FakeWorkflows):
        async def patch(self, name: str, operations: Any) -> Json:
            answer = await super().patch(name, operations)
            annotations = answer["metadata"]["annotations"]
            if self.calls_for_test("patch") < 50 and annotations.pop(metadata.PUBLISHED, None):
                answer = await self.change_for_test(
                    name, lambda o: o["metadata"]["annotations"].pop(metadata.PUBLISHED)
                )
            return answer

    world = World()
    world.workflows = Undoing()
    async with world.watching():
        await submit(world)
        await finish(world)
        await released(world)
        assert world.workflows.calls_for_test("patch") >= 50
    assert world.results() == ["1/Succeeded"]


async def test_a_workflow_that_goes_away_under_a_patch_is_no_trouble() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        gone_already = NotFoundError("404", status=404, reason="NotFound")
        world.workflows.fail_for_test("patch", gone_already)
        await finish(world)
        await world.told("1/Submitted", "1/Succeeded")
        await later(60)
        assert world.workflows.calls_for_test("patch") == 1
        assert world.workflows.calls_for_test("get") == 0
        await world.workflows.remove_for_test(NAME)
        await later(60)
        assert world.metric("known_workflows") == 0
    assert world.results() == ["1/Succeeded"]


async def test_another_object_of_the_same_name_is_another_run_of_it() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world)
        await marked(world)
        gate = world.workflows.hold_for_test("patch")
        await later(10)
        await world.workflows.remove_for_test(NAME)
        await submit(world)
        gate.set()
        await world.told("1/Submitted", "1/Succeeded", "1/Submitted")
        await later(60)
        assert marks(world) == (None, None, True)


# F15 to F17: the watch.


async def test_an_end_behind_a_silent_watch_is_told_within_90_seconds(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        silent_since = float(looptime)
        world.workflows.go_silent_for_test()
        await finish(world)
        await world.told("1/Submitted", "1/Succeeded")
        assert looptime - silent_since < 90
        assert world.metric("relists_total", reason="silence") == 1


async def test_ends_while_the_watcher_is_down_are_told_and_then_the_objects_go() -> None:
    world = World()
    for number in range(20):
        await submit(world, f"order-{number}")
    async with world.watching():
        await world.told("1/Submitted", run_id="order-19")
    for number in range(20):
        await finish(world, name=f"run-order-{number}")
        await world.workflows.delete_for_test(f"run-order-{number}")
    world.workflows.expire_history_for_test()
    assert len(world.workflows.names_for_test()) == 20
    async with world.watching():
        await world.until(lambda: not world.workflows.names_for_test())
        await moments()
        assert world.metric("known_workflows") == 0
    for number in range(20):
        assert world.results(run_id=f"order-{number}") == ["1/Succeeded"]


async def test_kafka_away_for_an_hour_loses_nothing() -> None:
    world = World(max_pending=5, concurrency=2)
    async with world.watching():
        world.kafka.go_away_for_test()
        for number in range(20):
            await submit(world, f"order-{number}")
            await finish(world, name=f"run-order-{number}")
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


async def test_a_workflow_that_vanishes_unseen_is_forgotten_and_noted() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        gate = world.workflows.hold_for_test("list_page")
        world.workflows.drop_streams_for_test()
        await world.workflows.remove_for_test(NAME)
        world.workflows.expire_history_for_test()
        with capture_logs() as logs:
            gate.set()
            await later(60)
        assert world.metric("known_workflows") == 0
        assert [log for log in logs if log["event"] == "vanished without an outcome"]
    assert world.results() == []


# F18: killed at any moment.


async def test_an_outcome_that_was_told_is_not_told_again_after_a_restart() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        world.workflows.hold_for_test("patch")
        await finish(world)
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Succeeded"])
        await moments()
    world.workflows.hold_for_test("patch").set()
    assert marks(world) == (None, None, True)
    async with world.watching():
        await released(world)
        assert world.metric("outcomes_recovered_total") == 1
    assert world.results() == ["1/Succeeded"]
    assert marks(world) == (MARK, None, False)


async def test_a_workflow_that_vanishes_during_recovery_is_forgotten() -> None:
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
        await world.told("1/Submitted")
        world.workflows.hold_for_test("patch")
        await finish(world)
        await world.told("1/Submitted", "1/Succeeded")
    async with world.watching():
        await moments()
        assert world.metric("outcomes_recovered_total") == 1
        assert world.metric("known_workflows") == 0


async def test_an_outcome_of_which_only_the_status_topic_knows_is_told_again() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        world.kafka.fail_for_test(*kafka_errors(100), topic=TOPICS.results)
        await finish(world)
        await world.told("1/Submitted", "1/Succeeded")
    world.kafka.heal_for_test()
    async with world.watching():
        await released(world)
    one, other = world.kafka.events_for_test()[1:]
    assert (one.event_id, one.sequence) == (other.event_id, other.sequence)
    assert world.results() == ["1/Succeeded"]


async def test_nothing_is_told_before_the_results_topic_was_read() -> None:
    world = World()
    await submit(world)
    await finish(world)
    world.kafka.fail_scans_for_test(times=5)
    async with world.starting():
        await released(world)
    assert len(world.kafka.scans) == 6
    assert world.results() == ["1/Succeeded"]


async def test_a_release_that_was_due_is_made_up_for_after_a_restart(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world)
        await marked(world)
    async with world.watching():
        started = float(looptime)
        await released(world)
        assert looptime == started + 10
    assert world.kafka.scans == []
    assert world.results() == ["1/Succeeded"]


async def test_a_finished_and_released_workflow_is_not_touched_by_a_restart() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world)
        await released(world)
    before = world.workflows.object_for_test(NAME), len(world.kafka.records)
    async with world.watching():
        await later(100)
    assert (world.workflows.object_for_test(NAME), len(world.kafka.records)) == before


# F19: two watchers at once.


async def test_two_watchers_do_no_harm() -> None:
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


# F20: deletion and reopening.


async def test_a_running_workflow_that_is_deleted_ends_as_deleted() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.workflows.set_status_for_test(NAME, phase="Running")
        await world.told("1/Submitted", "1/Running")
        await world.workflows.delete_for_test(NAME)
        await marked(world, "1/Deleted@2026-01-01T01:00:00Z")
        # The controller carries on until the object has gone.
        await world.workflows.set_status_for_test(NAME, progress="2/2")
        await finish(world, "Failed")
        await gone(world)
        await moments()
        assert world.metric("known_workflows") == 0
    assert world.results() == ["1/Deleted"]
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Running", "1/Deleted"]


async def test_a_workflow_without_our_finalizer_is_told_of_when_it_goes() -> None:
    world = World()
    bare = manifest()
    del bare["metadata"]["finalizers"]
    async with world.watching():
        await world.workflows.create(bare)
        await world.told("1/Submitted")
        await world.workflows.delete_for_test(NAME)
        await world.told("1/Submitted", "1/Deleted")
        await moments()
        assert world.metric("known_workflows") == 0
    assert world.results() == ["1/Deleted"]


async def test_losing_our_label_is_not_being_deleted() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        with capture_logs() as logs:
            await world.workflows.change_for_test(NAME, lambda o: o["metadata"]["labels"].clear())
            await moments()
        warnings = [log["event"] for log in logs if log["log_level"] == "warning"]
        assert warnings == ["no longer labelled as ours"]
        assert world.metric("known_workflows") == 0
    assert world.results() == []


async def test_losing_the_marks_of_a_run_meanwhile_is_no_trouble() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        gate = world.workflows.hold_for_test("patch")
        await finish(world)
        await world.told("1/Submitted", "1/Succeeded")
        await world.workflows.change_for_test(
            NAME, lambda o: o["metadata"]["annotations"].pop(metadata.RUN_ID)
        )
        gate.set()
        await later(100)
    assert world.results() == ["1/Succeeded"]


async def test_a_retry_after_the_release_is_a_new_attempt() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        await released(world)
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
        await world.told("1/Submitted", "1/Failed", "2/Running")
        assert world.metric("reopened_total") == 1
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
    assert world.results() == ["1/Failed", "2/Succeeded"]
    assert marks(world) == (f"2/Succeeded@{FINISHED_AGAIN}", "2", False)


async def test_a_retry_before_the_release_keeps_the_finalizer(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        await marked(world, f"1/Failed@{FINISHED}")
        await later(5)
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
        await later(100)
        assert marks(world) == (None, "2", True)
        await finish(world, at=FINISHED_AGAIN)
        await marked(world, f"2/Succeeded@{FINISHED_AGAIN}")
        ended = float(looptime)
        await released(world)
        assert looptime == ended + 10
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_a_retry_that_nobody_has_seen_yet_stops_the_release() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        await marked(world, f"1/Failed@{FINISHED}")
        world.workflows.go_silent_for_test()
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Failed", "2/Running"]


async def test_a_retry_before_the_mark_and_a_kill_are_sorted_out_by_the_results() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        world.workflows.hold_for_test("patch")
        await finish(world, "Failed")
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Failed"])
        await moments()
    world.workflows.hold_for_test("patch").set()
    await reopen(world)
    async with world.watching():
        await world.until(lambda: marks(world) == (None, "2", True))
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_a_retry_while_the_watcher_is_down_is_a_new_attempt_even_if_it_has_ended() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        await released(world)
    await reopen(world)
    await finish(world, at=FINISHED_AGAIN)
    async with world.watching():
        await marked(world, f"2/Succeeded@{FINISHED_AGAIN}")
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_a_reopened_workflow_cannot_disappear_though_kafka_is_away() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        await released(world)
        world.kafka.go_away_for_test()
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
    assert world.results() == ["1/Failed"]


async def test_a_reopening_is_told_even_if_the_object_cannot_be_patched() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        await released(world)
        refused = RefusedError("400", status=400, reason="BadRequest")
        world.workflows.fail_for_test("patch", *[refused] * 4)
        await reopen(world)
        await world.told("1/Submitted", "1/Failed", "2/Running")
        await world.until(lambda: marks(world) == (None, "2", True))
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Failed", "2/Running"]


async def test_released_at_once_if_so_wished() -> None:
    world = World(release_after=timedelta(0))
    async with world.watching():
        await submit(world)
        await world.told("1/Submitted")
        await finish(world)
        await released(world)
        assert world.workflows.calls_for_test("patch") == 1
    assert world.results() == ["1/Succeeded"]


async def test_a_defect_ends_the_process_and_is_named() -> None:
    world = World()
    await submit(world)

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    world.kafka.send = broken  # type: ignore[method-assign]
    with pytest.raises(TaskEndedError, match="workers ended by itself"):
        async with world.starting():
            await later(5)


async def test_a_stop_is_quick_whatever_is_under_way() -> None:
    world = World()
    async with world.watching():
        world.kafka.hold_for_test()
        for number in range(50):
            await submit(world, f"order-{number}")
        await moments()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() == began
