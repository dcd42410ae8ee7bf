"""A malformed Workflow is published without details, and affects no other."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from sluice_argo.outcomes import Claim
from sluice_contracts.status import StatusEvent
from sluice_status_watcher.domain.transitions import PublishedState, claimed_event
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.services import event_publication
from tests.unit.status_watcher.manifests import manifest, name_of, node, nodes
from tests.unit.status_watcher.scenes import MARK, NAME, finish, marks, released, submit
from tests.unit.status_watcher.world import World, later

pytestmark = pytest.mark.looptime


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud800", nested(64), nested(200), nested(400)])
async def test_unwritable_outputs_are_left_out(value: Any) -> None:
    world = World()
    outputs = {"parameters": [{"name": "malformed", "value": value}]}
    with capture_logs() as logs:
        async with world.watching():
            await submit(world)
            await submit(world, "order-2")
            steps = nodes(node("a", phase="Succeeded", outputs=outputs))
            await world.workflows.set_status_for_test(NAME, phase="Running", nodes=steps)
            await world.published("1/Submitted", "1/Running")
            await finish(world, outputs=outputs)
            await finish(world, name=name_of("order-2"))
            await released(world)
            await world.published("1/Submitted", "1/Succeeded", run_id="order-2")
            assert world.metric("events_truncated_total") == 1
    assert marks(world) == (MARK, None, False)
    (end,) = [e for e in world.kafka.events_for_test() if e.terminal and e.run_id == "order-1"]
    assert (end.phase, end.steps, end.outputs, end.truncated) == ("Succeeded", (), {}, True)
    assert end.finished_at is not None
    # Logged once, though published twice.
    assert [log["run"] for log in logs if log["event"] == "published without details"] == [
        "default/order-1"
    ]


async def test_outputs_of_any_json_type_are_published() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        parameters = [{"name": "deep", "value": nested(63)}, {"name": "none", "value": None}]
        await finish(world, outputs={"parameters": parameters})
        await released(world)
        assert world.metric("events_truncated_total") == 0
    end = world.kafka.events_for_test()[-1]
    assert (end.outputs, end.truncated) == ({"deep": nested(63), "none": None}, False)


async def test_state_that_raises_is_published_without_details(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def picky(state: WorkflowState, claim: Claim) -> tuple[StatusEvent, PublishedState]:
        if state.progress:
            raise ZeroDivisionError
        return claimed_event(state, claim)

    monkeypatch.setattr(event_publication, "claimed_event", picky)
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        await finish(world, progress="1/1", message="fine")
        await released(world)
        assert world.metric("events_truncated_total") == 1
    (end,) = world.kafka.events_for_test()[1:]
    assert (end.phase, end.message, end.truncated) == ("Succeeded", None, True)
    assert world.results() == ["1/Succeeded"]


async def test_copy_of_a_workflow_is_ignored_and_logged_once() -> None:
    world = World(watch={"relist_every": "60s"})
    copy = manifest()
    copy["metadata"]["name"] = f"{NAME}-x7k2p"
    with capture_logs() as logs:
        async with world.watching():
            await submit(world)
            await finish(world)
            await released(world)
            await world.workflows.create(copy)
            await world.workflows.set_status_for_test(f"{NAME}-x7k2p", phase="Running")
            await later(200)
    assert world.kafka.phases_for_test() == ["1/Submitted", "1/Succeeded"]
    named = [log["name"] for log in logs if log["event"] == "Workflow ignored: not a run"]
    assert named == [f"{NAME}-x7k2p"]


async def test_state_nested_too_deeply_for_the_parser_is_published() -> None:
    world = World()
    async with world.watching():
        await submit(world)
        await world.published("1/Submitted")
        relists = world.metric("relists_total", reason="bad json")
        line = json.dumps({"type": "MODIFIED", "object": world.workflows.object_for_test(NAME)})
        deep = b'"spec":' + b"[" * 9_000 + b"]" * 9_000 + b',"status":{"phase":"Running"}'
        spec = json.dumps("spec") + ": " + json.dumps(manifest()["spec"])
        changed = line.replace('"resourceVersion": "101"', '"resourceVersion": "102"')
        world.workflows.send_raw_for_test(changed.encode().replace(spec.encode(), deep) + b"\n")
        await world.published("1/Submitted", "1/Running")
        assert world.metric("relists_total", reason="bad json") == relists
