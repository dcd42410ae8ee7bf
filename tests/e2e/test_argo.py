"""What only a real Argo shows: pods, a store of artifacts, its limits and its ways to delete."""

import gzip
import io
import itertools
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from testbed.cluster.argo import BUCKET
from testbed.errors import TestbedError
from testbed.kubectl import Kubectl
from tests.support.engines import Engine, real_engines
from tests.support.kafka import KafkaServer, produce, unique_name
from tests.support.sluice import Sluice, Topic, running_sluice

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("engine", real_engines(), indirect=True, scope="session"),
]

Json = dict[str, Any]

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def in_namespace(sluice: Sluice) -> Kubectl:
    return sluice.engine.cluster.kubectl().within(sluice.namespace)


async def name_of(sluice: Sluice, run_id: str) -> str:
    """Say what the run's Workflow is called, by the first event."""
    async with Topic(sluice.kafka, sluice.topics.status) as topic:
        async for record in topic.of(f"default/{run_id}".encode()):
            name: str = json.loads(record.value)["workflow_name"]
            return name
    raise AssertionError("a topic never ends")


async def events_of(sluice: Sluice, run_id: str) -> AsyncIterator[Json]:
    async with Topic(sluice.kafka, sluice.topics.status) as topic:
        async for record in topic.of(f"default/{run_id}".encode()):
            yield json.loads(record.value)


async def until(sluice: Sluice, run_id: str, phase: str) -> Json:
    async for event in events_of(sluice, run_id):
        if event["phase"] == phase:
            return event
    raise AssertionError("a topic never ends")


async def order(sluice: Sluice, run_id: str, command: str) -> None:
    document = json.dumps({"type": command, "id": run_id}).encode()
    key = f"default/{run_id}".encode()
    await produce(sluice.kafka, sluice.topics.requests, document, key=key)


async def test_a_step_is_a_restricted_pod_that_goes_when_the_run_is_stopped(
    sluice: Sluice,
) -> None:
    kubectl = in_namespace(sluice)
    run_id = unique_name("patient")
    async with sluice.client() as client:
        await client.accepted({"id": run_id, "workflow": "patient"})
        name = await name_of(sluice, run_id)
        pods = f"--selector=workflows.argoproj.io/workflow={name}"
        await until(sluice, run_id, "Running")
        kubectl("wait", "pod", pods, "--for=create", "--timeout=180s")
        kubectl("wait", "pod", pods, "--for=condition=Ready", "--timeout=180s")
        [pod] = kubectl.get("pods", pods)["items"]
        inside = ("exec", pod["metadata"]["name"], "--container=main", "--")
        assert kubectl(*inside, "id", "-u").strip() == "65532"
        with pytest.raises(TestbedError, match="Read-only file system"):
            kubectl(*inside, "touch", "/anywhere")
        with pytest.raises(TestbedError, match="No such file"):
            kubectl(*inside, "cat", TOKEN)
        await order(sluice, run_id, "stop")
        assert (await client.events(run_id))[-1]["phase"] == "Failed"
    kubectl("wait", "pod", pods, "--for=delete", "--timeout=180s")


async def test_a_run_in_pods_is_suspended_and_resumed(sluice: Sluice) -> None:
    run_id = unique_name("patient")
    orders = [("Running", "suspend"), ("Suspended", "resume"), ("Running", "terminate")]
    async with sluice.client() as client:
        await client.accepted({"id": run_id, "workflow": "patient"})
        async for event in events_of(sluice, run_id):
            if orders and event["phase"] == orders[0][0]:
                await order(sluice, run_id, orders.pop(0)[1])
            if event["phase"] in ("Failed", "Error", "Succeeded"):
                break
    assert not orders
    assert event["phase"] == "Failed"


async def test_artifacts_lie_in_the_store(sluice: Sluice) -> None:
    run_id = unique_name("artifact")
    message = unique_name("kept in the store: ")
    async with sluice.client() as client:
        parameters = {"message": message}
        await client.accepted(
            {"id": run_id, "workflow": "artifact-passing", "parameters": parameters}
        )
        outcome = (await client.events(run_id))[-1]
    assert outcome["phase"] == "Succeeded", outcome
    kept = sluice.engine.cluster.programs.artifacts / BUCKET / outcome["workflow_name"]
    texts = [text for file in kept.rglob("*") if file.is_file() for text in unpacked(file)]
    assert message.encode() in texts


async def test_a_step_that_succeeded_runs_again_once_argo_has_deleted_its_pod(
    sluice: Sluice,
) -> None:
    """Argo deletes it by name, some time after its end, and would delete the new one."""
    run_id = unique_name("unhurried")
    key = f"default/{run_id}".encode()
    async with sluice.client() as client, Topic(sluice.kafka, sluice.topics.results) as topic:
        first = await client.outcome({"id": run_id, "workflow": "unhurried"})
        assert first["phase"] == "Succeeded", first
        [step] = first["steps"]
        retry = json.dumps({"type": "retry", "id": run_id, "step": step["id"]}).encode()
        await produce(sluice.kafka, sluice.topics.requests, retry, key=key)
        async for record in topic.of(key):
            second = json.loads(record.value)
            if second["attempt"] == 2:
                break
    assert (second["phase"], second["message"]) == ("Succeeded", None)


def unpacked(file: Path) -> list[bytes]:
    """Give the texts in an artifact, which Argo packs by default."""
    content = file.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return [content]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        extracted = (archive.extractfile(member) for member in archive.getmembers())
        return [member.read() for member in extracted if member is not None]


async def test_the_log_of_a_failed_step_outlives_its_pod(sluice: Sluice) -> None:
    kubectl = in_namespace(sluice)
    async with sluice.client() as client:
        outcome = await client.outcome({"id": unique_name("failure"), "workflow": "failure"})
        pods = f"--selector=workflows.argoproj.io/workflow={outcome['workflow_name']}"
        # It stays to be looked at, and goes with its Workflow.
        [pod] = kubectl.get("pods", pods)["items"]
        assert pod["status"]["phase"] == outcome["phase"] == "Failed"
        assert [owner["kind"] for owner in pod["metadata"]["ownerReferences"]] == ["Workflow"]
        kubectl("delete", "pod", pods, "--timeout=60s")
        async with client.http.get(f"/v1/runs/{outcome['run_id']}") as response:
            run = await response.json()
    [step] = run["steps"]
    assert (step["phase"], step["logs"]) == ("Failed", outcome["steps"][0]["logs"])
    link = urlsplit(step["logs"]["main"])
    assert (link.scheme, link.netloc) == ("s3", BUCKET)
    log = sluice.engine.cluster.programs.artifacts / BUCKET / link.path.removeprefix("/")
    assert sorted(log.read_text().splitlines()) == ["as it should be", "out of luck"]


@pytest.mark.parametrize(
    ("workflow", "cause", "advice"),
    [
        ("careless", "pods-refused", "Pod Security Standard"),
        ("orphan", "account-missing", "does not exist"),
        ("voiceless", "account-missing", "may not report results"),
        ("nameless", "image-unavailable", "names no `command`"),
        ("homeless", "artifacts-unavailable", "Check its endpoint, its bucket"),
    ],
)
async def test_a_run_says_what_stopped_its_pods(
    sluice: Sluice, workflow: str, cause: str, advice: str
) -> None:
    async with sluice.client() as client:
        outcome = await client.outcome({"id": unique_name(workflow), "workflow": workflow})
    assert outcome["phase"] in ("Failed", "Error"), outcome
    assert outcome["problem"] is not None, outcome
    assert outcome["problem"]["cause"] == cause
    assert advice in outcome["problem"]["detail"]


async def test_a_workflow_too_large_for_etcd_is_published_to_its_end(sluice: Sluice) -> None:
    run_id = unique_name("crowd")
    async with sluice.client() as client:
        await client.accepted({"id": run_id, "workflow": "crowd"})
        outcome = (await client.events(run_id))[-1]
        assert outcome["phase"] == "Succeeded", outcome
    status = in_namespace(sluice).get("workflow", outcome["workflow_name"])["status"]
    assert status["compressedNodes"]
    assert not status.get("nodes")
    assert len(outcome["steps"]) >= 2000


@pytest.fixture
def narrow(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice in whose namespace one Workflow may run at a time."""
    with running_sluice(kafka, tmp_path, engine=engine) as running:
        limit = "workflows.argoproj.io/parallelism-limit=1"
        engine.cluster.kubectl()("label", "namespace", running.namespace, limit)
        yield running


async def test_a_run_above_the_parallelism_limit_is_pending(narrow: Sluice) -> None:
    first, second = unique_name("first"), unique_name("second")
    async with narrow.client() as client:
        await client.accepted({"id": first, "workflow": "approval"})
        await until(narrow, first, "Suspended")
        await client.accepted({"id": second, "workflow": "approval"})
        await until(narrow, second, "Pending")
        await order(narrow, first, "resume")
        await until(narrow, second, "Suspended")
        await order(narrow, second, "resume")
        events = await client.events(second)
    phases = [phase for phase, _ in itertools.groupby(event["phase"] for event in events)]
    assert phases[0] == "Submitted"
    assert phases.index("Pending") < phases.index("Suspended") < phases.index("Succeeded")
