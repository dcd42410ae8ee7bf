"""The status-watcher in its chart's memory, while Kafka is away and large Workflows go on."""

import asyncio
import base64
import contextlib
import functools
import gzip
import json
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.status_nodes import MAX_NODES_BYTES
from sluice_contracts.ids import RunKey, workflow_name
from sluice_local.kafka import EmbeddedKafka
from tests.bounds.conftest import Guarded
from tests.support.fake_workflows import FakeWorkflows
from tests.support.guarding import Guard, eventually, standing_still
from tests.support.kafka import read_all
from tests.support.served_workflows import served

pytestmark = [pytest.mark.bounds, pytest.mark.timeout(240)]

Json = dict[str, Any]

WATCHER = "status-watcher"
STEPS = 200
# Two seconds in which nothing more is read.
STILL = 20
DRAIN_SECONDS = 120.0

# How many Workflows, and the bytes of their nodes when they are unpacked: most are larger than an
# event may be, some as large as nodes may be, and some fit as a whole.
SIZES = [3_000_000] * 890 + [MAX_NODES_BYTES - 100_000] * 10 + [1_400_000] * 100


@pytest.fixture
def kafka_alone(own_kafka: EmbeddedKafka) -> EmbeddedKafka:
    """A Kafka for one test alone, which runs."""
    own_kafka.start_sync()
    return own_kafka


async def test_a_thousand_large_workflows_while_kafka_is_away(
    guard_of: Guarded, kafka_alone: EmbeddedKafka, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    environment = {WATCHER: {"SLUICE_KUBERNETES__KUBECONFIG": str(kubeconfig)}}
    workflows = FakeWorkflows()
    run_ids = [f"order-{number}" for number in range(len(SIZES))]
    # Before anybody is probed from the loop that this would hold up.
    nodes = {size: packed(size) for size in SIZES}
    async with (
        served(workflows, kubeconfig),
        guard_of(WATCHER, kafka=kafka_alone, environment=environment) as guard,
    ):
        topics = guard.sluice.topics

        async def attack() -> None:
            with frozen(kafka_alone):
                for run_id, size in zip(run_ids, SIZES, strict=True):
                    await workflows.create(running(run_id, nodes=nodes[size]))
                    await asyncio.sleep(0)
                await standing_still(in_hand(guard), looks=STILL, what="all is read that will be")
            await eventually(all_published, what="a state of every run", seconds=DRAIN_SECONDS)

        async def all_published() -> bool:
            published = {record.key for record in await read_all(kafka_alone, topics.status)}
            return {f"default/{run_id}".encode() for run_id in run_ids} <= published

        await guard.during(attack(), seconds=DRAIN_SECONDS * 1.5)
        guard.assert_bounded()


@contextlib.contextmanager
def frozen(kafka: EmbeddedKafka) -> Iterator[None]:
    """Have Kafka say nothing while the body runs."""
    os.kill(kafka.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka.process.pid, signal.SIGCONT)


def in_hand(guard: Guard) -> Callable[[], Coroutine[Any, Any, tuple[float, ...]]]:
    """Give what shows how much the status-watcher has read."""

    async def look() -> tuple[float, ...]:
        names = ("pending_states", "active_workers", "tracked_workflows")
        return tuple([await guard.metric(WATCHER, f"sluice_status_watcher_{n}") for n in names])

    return look


def running(run_id: str, *, nodes: str) -> Json:
    """Give a Workflow that runs, and whose nodes are compressed."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": workflow_name(RunKey("default", run_id)),
            "labels": {
                metadata.MANAGED_BY: metadata.MANAGED_BY_VALUE,
                metadata.TENANT: "default",
                metadata.WORKFLOW: "hello",
            },
            "annotations": {metadata.RUN_ID: run_id},
            "finalizers": [metadata.FINALIZER],
        },
        "spec": {"entrypoint": "main"},
        "status": {
            "phase": "Running",
            "startedAt": "2026-01-01T00:00:10Z",
            "compressedNodes": nodes,
        },
    }


@functools.cache
def packed(size: int) -> str:
    """Give nodes of so many bytes, as Argo packs them: steps with an output each."""
    output = "x" * (size // STEPS - 200)
    nodes = {
        f"n-{number}": {
            "id": f"n-{number}",
            "name": f"run.step({number})",
            "displayName": f"step({number})",
            "type": "Pod",
            "templateName": "main",
            "phase": "Succeeded",
            "startedAt": "2026-01-01T00:00:10Z",
            "outputs": {"parameters": [{"name": "o", "value": output}]},
        }
        for number in range(STEPS)
    }
    return base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
