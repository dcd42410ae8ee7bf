"""The status-watcher as a whole."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from sluice_argo import metadata
from sluice_runtime.supervision import TaskEndedError
from tests.support.margins import releasing_after
from tests.unit.status_watcher.manifests import line, manifest, name_of, node, nodes
from tests.unit.status_watcher.scenes import MARK, NAME, finish, marked, marks, released, submit
from tests.unit.status_watcher.world import World, later, moments

pytestmark = pytest.mark.looptime


async def test_run_is_published_from_start_to_end_and_then_released(looptime: Any) -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        await world.workflows.set_status_for_test(NAME, phase="Pending")
        await world.published("1/Submitted", "1/Pending")
        await world.workflows.set_status_for_test(
            NAME, phase="Running", nodes=nodes(node("a", phase="Running"))
        )
        await world.published("1/Submitted", "1/Pending", "1/Running")
        assert world.results() == []
        await finish(world)
        await marked(world)
        assert world.results() == ["1/Succeeded"]
        assert marks(world) == (MARK, None, True)
        published_at = float(looptime)
        await released(world)
        assert looptime == published_at + world.release_after
        assert marks(world) == (MARK, None, False)
        assert world.results() == ["1/Succeeded"]
    assert [e.sequence for e in world.kafka.events_for_test()] == [101, 102, 103, 104]
    assert world.metric("events_published_total", phase="Succeeded") == 1
    assert world.metric("finalizers_removed_total") == 1
    assert world.metric("publish_latency_seconds_count") == 4


async def test_fast_phases_are_all_published_in_order() -> None:
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
        await world.published("1/Submitted", "1/Pending", "1/Running", "1/Succeeded")
        assert world.kafka.events_for_test()[2].progress == "3/9"


async def test_state_older_than_the_published_one_is_ignored() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.workflows.set_status_for_test(NAME, phase="Running")
        older = world.workflows.object_for_test(NAME)
        await finish(world, "Failed")
        await released(world)
        patches = world.workflows.calls_for_test("patch")
        world.workflows.send_raw_for_test(line("MODIFIED", older))
        await later(60)
        assert world.workflows.calls_for_test("patch") == patches
    assert world.kafka.phases_for_test()[-1] == "1/Failed"


async def test_foreign_workflow_is_ignored_and_logged_once() -> None:
    world = World(watch={"relist_every": "60s"})
    foreign = manifest("foreign")
    del foreign["metadata"]["annotations"][metadata.RUN_ID]
    await world.workflows.create(foreign)
    with capture_logs() as logs:
        async with world.watching():
            await submit(world)
            await world.published("1/Submitted")
            await world.workflows.set_status_for_test(name_of("foreign"), phase="Running")
            await later(200)
    assert len(world.kafka.records) == 1
    assert [log["name"] for log in logs if log["event"] == "Workflow ignored: not a run"] == [
        name_of("foreign")
    ]
    assert "status" in world.workflows.object_for_test(name_of("foreign"))


async def test_readiness_gives_reasons() -> None:
    world = World()
    world.kafka.fail_scans_for_test(times=1)
    await submit(world)
    async with world.starting():
        assert world.watcher is not None
        ready = world.watcher.readiness()
        await moments()
        assert ready["recovery"]() == "the results topic is not read yet"
        assert ready["workflows"]() == "the Workflows are not listed yet"
        await world.published("1/Submitted")
        assert {name: check() for name, check in ready.items()} == dict.fromkeys(ready)
        world.workflows.go_silent_for_test()
        world.workflows.hold_for_test("list_page")
        await later(120)
        assert str(ready["workflows"]()).startswith("the API server has sent nothing")
        world.kafka.go_away_for_test()
        assert ready["kafka"]() == "Kafka: away"


async def test_release_without_delay() -> None:
    world = World()
    world.settings = releasing_after(world.settings, timedelta(0))
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        await finish(world)
        await released(world)
        await marked(world)
        # The claim, the release and the mark.
        assert world.workflows.calls_for_test("patch") == 3
    assert world.results() == ["1/Succeeded"]


async def test_defect_ends_the_process_and_is_logged() -> None:
    world = World()
    await submit(world)

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    world.kafka.send = broken  # type: ignore[method-assign]
    with pytest.raises(TaskEndedError, match="workers ended by itself"):
        async with world.starting():
            await later(5)


async def test_stop_does_not_wait_for_work() -> None:
    world = World()
    async with world.watching():
        world.kafka.hold_for_test()
        for number in range(50):
            await submit(world, f"order-{number}")
        await moments()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() == began
