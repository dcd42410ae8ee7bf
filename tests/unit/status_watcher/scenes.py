"""What happens to one Workflow in a test."""

import asyncio
from typing import Any

from sluice_argo import metadata
from sluice_argo.outcomes import Claim, decode_claim
from sluice_runtime.kafka.errors import KafkaUnavailableError
from tests.unit.status_watcher.manifests import FINISHED, Json, manifest, name_of
from tests.unit.status_watcher.world import World

NAME = name_of("order-1")
MARK = f"1/Succeeded@{FINISHED}"


async def submit(world: World, run_id: str = "order-1", **more: Any) -> None:
    await world.workflows.create(manifest(run_id, **more))


async def finish(
    world: World, phase: str = "Succeeded", *, at: str = FINISHED, name: str = NAME, **more: Any
) -> None:
    await world.workflows.set_status_for_test(name, phase=phase, finishedAt=at, **more)


async def touch(world: World) -> None:
    """Change a label that does not matter."""

    def change(obj: Json) -> None:
        labels = obj["metadata"]["labels"]
        labels["touched"] = str(int(labels.get("touched", "0")) + 1)

    await world.workflows.change_for_test(NAME, change)


async def reopen(world: World) -> None:
    """Do what `argo retry` does."""
    await world.workflows.set_status_for_test(NAME, phase="Running", finishedAt=None)


def marks(world: World) -> tuple[str | None, str | None, bool]:
    """Return the mark, the attempt, and whether our finalizer keeps the object."""
    meta = world.workflows.object_for_test(NAME)["metadata"]
    annotations = meta["annotations"]
    held = metadata.FINALIZER in meta["finalizers"]
    return annotations.get(metadata.PUBLISHED), annotations.get(metadata.ATTEMPT), held


def claim(world: World) -> Claim | None:
    """Return the claim on the object."""
    annotations = world.workflows.object_for_test(NAME)["metadata"]["annotations"]
    return decode_claim(annotations.get(metadata.OUTCOME_CLAIM))


async def marked(world: World, mark: str = MARK) -> None:
    await world.until(lambda: marks(world)[0] == mark)


async def released(world: World) -> None:
    await world.until(lambda: not marks(world)[2])


def hold_mark(world: World) -> asyncio.Event:
    """Let the next end be claimed, but not marked until the event is set."""
    return world.workflows.hold_for_test("patch", after=1)


async def gone(world: World) -> None:
    await world.until(lambda: NAME not in world.workflows.names_for_test())


def kafka_errors(count: int) -> list[Exception]:
    return [KafkaUnavailableError("results: no broker answered") for _ in range(count)]
