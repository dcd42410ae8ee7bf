"""Memory stays bounded, however large Workflows are and however long Kafka is away."""

from typing import Any

import pytest

from tests.unit.status_watcher.manifests import FINISHED, manifest, name_of, node, nodes
from tests.unit.status_watcher.world import World, later, moments

pytestmark = pytest.mark.looptime

COUNT = 100
BYTES = 300_000
LARGE = nodes(
    *(
        node(
            str(number),
            phase="Succeeded",
            outputs={"parameters": [{"name": "o", "value": "x" * 4096}]},
        )
        for number in range(20)
    )
)


def large(run_id: str, **status: Any) -> Any:
    return manifest(run_id, status={"nodes": LARGE, **status})


@pytest.mark.parametrize(
    "status",
    [{"phase": "Running"}, {"phase": "Failed", "finishedAt": FINISHED}],
    ids=["running", "ended"],
)
async def test_states_waiting_for_kafka_are_bounded_in_bytes(status: dict[str, str]) -> None:
    world = World(max_bytes=BYTES)
    runs = [f"order-{number}" for number in range(COUNT)]
    async with world.watching():
        world.kafka.get_stuck_for_test()
        most = 0.0
        for run in runs:
            await world.workflows.create(large(run, **status))
            await moments(5)
            most = max(most, world.metric("held_bytes"))
        for _ in range(60):
            await later(1)
            most = max(most, world.metric("held_bytes"))
        # Some wait, some are worked on; together they would hold fifteen times as much.
        assert BYTES < most <= 2 * BYTES
        world.kafka.heal_for_test()
        await later(1000)
        assert world.metric("held_bytes") == 0
    published = [(event.run_id, event.phase) for event in world.kafka.events_for_test()]
    assert sorted(published) == sorted((run, status["phase"]) for run in runs)


async def test_workflow_with_too_many_steps_is_published_without_them() -> None:
    world = World()
    many = {str(n): {"id": str(n), "type": "Pod", "phase": "Succeeded"} for n in range(10_001)}
    async with world.watching():
        await world.workflows.create(
            manifest(status={"phase": "Failed", "finishedAt": FINISHED, "nodes": many})
        )
        await world.published("1/Failed")
    (event,) = world.kafka.events_for_test()
    assert (event.steps, event.truncated) == ((), True)
    assert name_of(event.run_id) == event.workflow_name
