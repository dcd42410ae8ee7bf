"""The finalizer is removed after the acknowledgements, and nothing else with it."""

from collections.abc import Sequence
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    RefusedError,
)
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import Json
from tests.unit.status_watcher.scenes import (
    NAME,
    finish,
    gone,
    hold_mark,
    kafka_errors,
    marked,
    marks,
    released,
    submit,
)
from tests.unit.status_watcher.world import TOPICS, World, later

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("topic", [TOPICS.results, TOPICS.status])
async def test_finalizer_stays_until_both_topics_have_acknowledged(topic: str) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.kafka.fail_for_test(*kafka_errors(20), topic=topic)
        await finish(world)
        await later(60)
        assert marks(world) == (None, None, True)
        await released(world)
        assert world.results() == ["1/Succeeded"]
        await world.published("1/Submitted", "1/Succeeded")


async def test_conflict_with_the_controller_is_resolved_by_a_read() -> None:
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


async def test_repeated_conflicts_are_retried_with_pauses() -> None:
    world = World()
    conflicts = [ConflictError("422", status=422, reason="Invalid") for _ in range(30)]
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.workflows.fail_for_test("patch", *conflicts)
        await finish(world)
        await marked(world)
        await released(world)
        # One read follows the first conflict, and one each pause; then it is published unclaimed.
        assert world.workflows.calls_for_test("get") == 29
        assert world.metric("patch_failures_total", reason="conflict") == 30
    assert world.results() == ["1/Succeeded"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiUnavailableError("503", retry_after=7), "unavailable"),
        (RefusedError("400", status=400, reason="BadRequest"), "refused"),
    ],
)
async def test_failed_patch_is_retried_and_delays_no_other_workflow(
    error: Exception, reason: str
) -> None:
    world = World(concurrency=1)
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.workflows.fail_for_test("patch", *[error] * 10)
        await finish(world)
        await submit(world, "order-2")
        await world.published("1/Submitted", run_id="order-2")
        assert marks(world)[0] is None
        await released(world)
        assert world.metric("patch_failures_total", reason=reason) == 10


async def test_patch_with_a_lost_answer_is_made_once() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        world.workflows.lose_answers_for_test("patch", times=3)
        await finish(world)
        await released(world)
        # The claim, the mark, and the release.
        assert world.workflows.calls_for_test("patch") == 3
        assert world.results() == ["1/Succeeded"]


async def test_reverted_patches_are_retried_with_pauses() -> None:
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


async def test_workflow_deleted_during_a_patch_is_forgotten() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        gate = hold_mark(world)
        await finish(world)
        await world.published("1/Submitted", "1/Succeeded")
        world.workflows.go_silent_for_test()
        await world.workflows.remove_for_test(NAME)
        gate.set()
        await later(60)
        # The claim, the mark, and the mark once more when the watch shows the claim.
        assert world.workflows.calls_for_test("patch") == 3
        assert world.workflows.calls_for_test("get") < 10
        world.workflows.speak_again_for_test()
        await later(60)
        assert world.metric("tracked_workflows") == 0
    assert world.results() == ["1/Succeeded"]


async def test_recreated_object_is_another_workflow() -> None:
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
        await world.published("1/Submitted", "1/Succeeded", "1/Submitted")
        await later(60)
        assert marks(world) == (None, None, True)


NO_ROOM: list[Exception] = [
    # 256 KiB of annotations, or the 1.5 MiB that etcd takes.
    ConflictError("422", status=422, reason="Invalid"),
    RefusedError("500: request is too large", status=500, reason="InternalError"),
    ApiUnavailableError("403: admission policy"),
]


@pytest.mark.parametrize("error", NO_ROOM)
async def test_workflow_without_room_for_the_mark_is_released(error: Exception) -> None:
    class Full(FakeWorkflows):
        async def patch(self, name: str, operations: Sequence[Json]) -> Json:
            if any(operation["op"] == "add" for operation in operations):
                raise error
            return await super().patch(name, operations)

    world = World()
    world.workflows = Full()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        await finish(world)
        await world.workflows.delete_for_test(NAME)
        await gone(world)
        await later(60)
        assert world.metric("tracked_workflows") == 0
    assert world.results() == ["1/Succeeded"]
