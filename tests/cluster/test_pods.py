"""The images that Docker built run as pods, and a POST through the gateway's Service succeeds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from testbed.cluster.namespaces import SLUICE
from testbed.docker.images import Images
from testbed.errors import TestbedError
from testbed.folders import default_folders
from testbed.kubectl import Kubectl
from testbed.testbed import Testbed
from testbed.versions import load_versions
from tests.cluster.deployments import (
    GATEWAY,
    HEALTH_PORTS,
    HTTP_PORT,
    labels_of,
    service_manifests,
)
from tests.support.client import Client
from tests.support.kafka import topic_names, unique_name

# The images may have to be built first.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SERVICES = list(HEALTH_PORTS)
KAFKA = load_versions().kafka


@dataclass(frozen=True)
class Deployed:
    """The services in pods; ``kubectl`` looks at them, ``url`` is where their gateway answers."""

    kubectl: Kubectl
    url: str

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Talk to the gateway's Service, as another pod would."""
        async with aiohttp.ClientSession(self.url) as http:
            yield Client(http)


@pytest.fixture(scope="module")
def testbed_with_images(testbed: Testbed) -> Testbed:
    """The testbed, whose node has the images of the services."""
    images = Images(default_folders(), load_versions(), repository=Path())
    images.build(say=print)
    for archive in images.service_archives():
        testbed.load_image(archive)
    return testbed


@pytest.fixture(scope="module", params=KAFKA, ids=lambda line: f"kafka-{line}")
def deployed(testbed_with_images: Testbed, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    """The three services, ready, on each line of Kafka."""
    testbed, namespace = testbed_with_images, unique_name("pods")
    testbed.prepare_namespace(namespace)
    manifests = list(
        service_manifests(
            bootstrap_servers=testbed.kafka[request.param].bootstrap_servers,
            topics=topic_names("pods"),
            namespace=namespace,
        )
    )
    kubectl = testbed.kubectl().within(SLUICE)
    kubectl.apply(manifests)
    try:
        for service in SERVICES:
            await_rollout(kubectl, service)
        address = kubectl.get("service", GATEWAY)["spec"]["clusterIP"]
        yield Deployed(kubectl, f"http://{address}:{HTTP_PORT}")
        kubectl("delete", "namespace", namespace, "--timeout=180s")
    finally:
        kubectl("delete", f"service/{GATEWAY}", *(f"deployment/{name}" for name in SERVICES))


def await_rollout(kubectl: Kubectl, service: str) -> None:
    try:
        kubectl("rollout", "status", f"deployment/{service}", "--timeout=120s")
    except TestbedError as error:
        said = kubectl("logs", f"deployment/{service}", "--tail=20")
        pytest.fail(f"{error}\n{said}")


async def test_a_post_through_the_service_ends_succeeded(deployed: Deployed) -> None:
    text = "Straße a b a {{workflow.name}}"
    async with deployed.client() as client:
        outcome = await client.outcome(
            {"workflow": "map-reduce", "parameters": {"workers": 2, "text": text}}
        )
    assert outcome["phase"] == "Succeeded", outcome
    counts = {"strasse": 1, "a": 2, "b": 1, "workflow": 1, "name": 1}
    assert json.loads(outcome["outputs"]["counts"]) == counts


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_nobody_on_a_read_only_file_system(deployed: Deployed, service: str) -> None:
    inside = ("exec", f"deployment/{service}", "--")
    assert deployed.kubectl(*inside, "id", "-u").strip() == "65532"
    with pytest.raises(TestbedError, match="Read-only file system"):
        deployed.kubectl(*inside, "touch", "/opt/sluice/new")
    token = ("ls", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    if service == GATEWAY:
        with pytest.raises(TestbedError, match="No such file"):
            deployed.kubectl(*inside, *token)
    else:
        assert deployed.kubectl(*inside, *token)


def test_the_gateway_is_found_by_its_name(deployed: Deployed) -> None:
    asking = f"http://{GATEWAY}.{SLUICE}:{HTTP_PORT}/v1/workflows"
    program = f"import urllib.request as u; print(u.urlopen({asking!r}, timeout=10).status)"
    inside = ("exec", "deployment/dispatcher", "--", "python", "-c", program)
    assert deployed.kubectl(*inside).strip() == "200"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_run_outlives_a_rollout(deployed: Deployed, service: str) -> None:
    kubectl = deployed.kubectl
    async with deployed.client() as client:
        run_id = await client.accepted({"id": unique_name("rollout"), "workflow": "hello"})
    await asyncio.to_thread(replace_pods, kubectl, service)
    async with deployed.client() as client:
        outcome = (await client.events(run_id))[-1]
    assert outcome["phase"] == "Succeeded", outcome
    containers = [pod["status"]["containerStatuses"][0] for pod in pods_of(kubectl, service)]
    assert [container["restartCount"] for container in containers] == [0]


def pods_of(kubectl: Kubectl, service: str) -> list[dict[str, Any]]:
    selector = ",".join(f"{name}={value}" for name, value in labels_of(service).items())
    pods: list[dict[str, Any]] = kubectl.get("pods", f"--selector={selector}")["items"]
    return pods


def replace_pods(kubectl: Kubectl, service: str) -> None:
    """Roll out again; returns once the pods from before are gone, and nobody can ask them."""
    before = [f"pod/{pod['metadata']['name']}" for pod in pods_of(kubectl, service)]
    kubectl("rollout", "restart", f"deployment/{service}")
    await_rollout(kubectl, service)
    kubectl("wait", *before, "--for=delete", "--timeout=180s")
