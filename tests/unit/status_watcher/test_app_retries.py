"""Deletions and retries at the worst moments (fault F20)."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from sluice_argo import metadata
from sluice_argo.outcomes import MAX_ATTEMPT
from sluice_runtime.kubernetes.errors import ApiUnavailableError, RefusedError
from tests.unit.status_watcher.manifests import FINISHED, FINISHED_AGAIN, manifest
from tests.unit.status_watcher.scenes import (
    NAME,
    finish,
    gone,
    hold_mark,
    marked,
    marks,
    released,
    reopen,
    submit,
)
from tests.unit.status_watcher.world import World, later, moments

pytestmark = pytest.mark.looptime


@contextlib.asynccontextmanager
async def failed() -> AsyncIterator[World]:
    """Run a watcher and a Workflow that fails."""
    world = World()
    async with world.watching():
        await submit(world)
        await finish(world, "Failed")
        yield world


async def test_deletion_of_a_running_workflow_is_its_outcome() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.workflows.set_status_for_test(NAME, phase="Running")
        await world.published("1/Submitted", "1/Running")
        await world.workflows.delete_for_test(NAME)
        await marked(world, "1/Deleted@2026-01-01T01:00:00Z")
        # The controller goes on until the object is gone.
        await world.workflows.set_status_for_test(NAME, progress="2/2")
        await finish(world, "Failed")
        await gone(world)
        await moments()
        assert world.metric("tracked_workflows") == 0
    assert world.results() == ["1/Deleted"]
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Running", "1/Deleted"]


async def test_deletion_without_our_finalizer_is_published() -> None:
    world = World()
    bare = manifest()
    del bare["metadata"]["finalizers"]
    async with world.watching():
        await world.workflows.create(bare)
        await world.published("1/Submitted")
        await world.workflows.delete_for_test(NAME)
        await world.published("1/Submitted", "1/Deleted")
        await moments()
        assert world.metric("tracked_workflows") == 0
    assert world.results() == ["1/Deleted"]


async def test_deletion_after_a_foreign_release_is_published() -> None:
    world = World()
    async with world.watching():
        hold = world.kafka.hold_for_test()
        await submit(world)
        await world.workflows.delete_for_test(NAME)
        await moments()
        # The last state that the watch shows still has the finalizer.
        await world.workflows.change_for_test(NAME, lambda o: o["metadata"]["finalizers"].clear())
        await moments()
        hold.set()
        await world.published("1/Submitted", "1/Deleted")
        await moments()
        assert world.metric("tracked_workflows") == 0
    assert world.results() == ["1/Deleted"]


async def test_label_lost_during_a_deletion_does_not_end_it() -> None:
    """The label comes back, and the Workflow has one end all the same."""
    world = World()

    async def label(labels: dict[str, str]) -> None:
        await world.workflows.change_for_test(NAME, lambda o: o["metadata"].update(labels=labels))

    async with world.watching():
        await submit(world)
        labels = world.workflows.object_for_test(NAME)["metadata"]["labels"]
        world.workflows.go_silent_for_test()
        await world.workflows.delete_for_test(NAME)
        world.workflows.fail_for_test("patch", ApiUnavailableError("connection refused"))
        await label({})
        world.workflows.speak_again_for_test()
        await later(600)
        assert world.results() == []
        await label(labels)
        await gone(world)
        await later(60)
    assert world.results() == ["1/Deleted"]


async def test_label_that_returns_during_the_check_keeps_the_workflow_tracked() -> None:
    world = World()

    async def label(labels: dict[str, str]) -> None:
        await world.workflows.change_for_test(NAME, lambda o: o["metadata"].update(labels=labels))

    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        labels = world.workflows.object_for_test(NAME)["metadata"]["labels"]
        answer = world.workflows.hold_for_test("get")
        await label({})
        await moments()
        await label(labels)
        await moments()
        answer.set()
        await moments()
        assert world.metric("tracked_workflows") == 1
        await finish(world)
        await released(world)
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Succeeded"]


async def test_lost_label_is_not_a_deletion() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        with capture_logs() as logs:
            await world.workflows.change_for_test(NAME, lambda o: o["metadata"]["labels"].clear())
            await moments()
        warnings = [log["event"] for log in logs if log["log_level"] == "warning"]
        assert warnings == ["Workflow lost its label"]
        assert world.metric("tracked_workflows") == 0
    assert world.results() == []


async def test_lost_annotations_end_the_work_on_a_workflow() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        gate = hold_mark(world)
        await finish(world)
        await world.published("1/Submitted", "1/Succeeded")
        await world.workflows.change_for_test(
            NAME, lambda o: o["metadata"]["annotations"].pop(metadata.RUN_ID)
        )
        gate.set()
        await later(100)
    assert world.results() == ["1/Succeeded"]


async def test_retry_after_the_release_is_a_new_attempt() -> None:
    async with failed() as world:
        await released(world)
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
        await world.published("1/Submitted", "1/Failed", "2/Running")
        assert world.metric("workflows_retried_total") == 1
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
    assert world.results() == ["1/Failed", "2/Succeeded"]
    assert marks(world) == (f"2/Succeeded@{FINISHED_AGAIN}", "2", False)


async def test_retry_before_the_release_keeps_the_finalizer(looptime: Any) -> None:
    async with failed() as world:
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
        assert looptime == ended + world.release_after
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_unseen_retry_stops_the_release() -> None:
    async with failed() as world:
        await marked(world, f"1/Failed@{FINISHED}")
        world.workflows.go_silent_for_test()
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Failed", "2/Running"]


async def test_retry_before_the_annotation_is_recovered_after_a_kill() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        gate = hold_mark(world)
        await finish(world, "Failed")
        await world.kafka.wait_for_test(lambda: world.results() == ["1/Failed"])
        await moments()
    gate.set()
    await reopen(world)
    async with world.watching():
        await world.until(lambda: marks(world) == (None, "2", True))
        await finish(world, at=FINISHED_AGAIN)
        await released(world)
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_retry_that_ends_while_the_watcher_is_down_is_a_new_attempt() -> None:
    async with failed() as world:
        await released(world)
    await reopen(world)
    await finish(world, at=FINISHED_AGAIN)
    async with world.watching():
        await marked(world, f"2/Succeeded@{FINISHED_AGAIN}")
    assert world.results() == ["1/Failed", "2/Succeeded"]


async def test_retried_workflow_is_kept_while_kafka_is_away() -> None:
    async with failed() as world:
        await released(world)
        world.kafka.go_away_for_test()
        await reopen(world)
        await world.until(lambda: marks(world) == (None, "2", True))
    assert world.results() == ["1/Failed"]


async def test_retry_is_published_even_if_the_object_cannot_be_patched() -> None:
    async with failed() as world:
        await released(world)
        refused = RefusedError("400", status=400, reason="BadRequest")
        world.workflows.fail_for_test("patch", *[refused] * 4)
        await reopen(world)
        await world.published("1/Submitted", "1/Failed", "2/Running")
        await world.until(lambda: marks(world) == (None, "2", True))
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Failed", "2/Running"]


@pytest.mark.parametrize("at", [FINISHED, None])
async def test_retry_that_ends_within_the_same_second_has_an_end_of_its_own(
    at: str | None,
) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.workflows.set_status_for_test(NAME, phase="Failed", finishedAt=at)
        await marked(world, f"1/Failed@{at or ''}")
        world.workflows.go_silent_for_test()
        await reopen(world)
        await world.workflows.set_status_for_test(NAME, phase="Succeeded", finishedAt=at)
        world.workflows.expire_history_for_test()
        world.workflows.speak_again_for_test()
        await marked(world, f"2/Succeeded@{at or ''}")
        await released(world)
    assert world.results() == ["1/Failed", "2/Succeeded"]


@pytest.mark.parametrize(
    "forged",
    [
        {metadata.PUBLISHED: f"{MAX_ATTEMPT}/Succeeded@{FINISHED_AGAIN}"},
        {metadata.PUBLISHED: f"{MAX_ATTEMPT - 1}/Succeeded@{FINISHED_AGAIN}"},
        {metadata.ATTEMPT: str(MAX_ATTEMPT)},
    ],
)
async def test_forged_last_attempt_costs_no_patches(forged: dict[str, str]) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.workflows.change_for_test(
            NAME, lambda o: o["metadata"]["annotations"].update(forged)
        )
        await finish(world)
        await later(3600)
        assert len(world.results()) == 1
        patches = world.workflows.calls_for_test("patch")
        await later(3600)
        assert world.workflows.calls_for_test("patch") == patches
        await reopen(world)
        await later(3600)
        assert world.workflows.calls_for_test("patch") <= patches + 2
