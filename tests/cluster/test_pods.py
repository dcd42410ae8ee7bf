"""The images that Docker built run as pods, and a POST through the gateway's Service succeeds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

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
        kubectl("delete", "namespace", namespace, "--timeout=60s")
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


@pytest.mark.parametrize("service", SERVICES)
async def test_a_run_outlives_a_rollout(deployed: Deployed, service: str) -> None:
    kubectl = deployed.kubectl
    async with deployed.client() as client:
        run_id = await client.accepted({"id": unique_name("rollout"), "workflow": "hello"})
    await asyncio.to_thread(kubectl, "rollout", "restart", f"deployment/{service}")
    await asyncio.to_thread(await_rollout, kubectl, service)
    # Another connection, for the first one may have been to a gateway that is gone.
    async with deployed.client() as client:
        outcome = (await client.events(run_id))[-1]
    assert outcome["phase"] == "Succeeded", outcome
    selector = ",".join(f"{name}={value}" for name, value in labels_of(service).items())
    pods = kubectl.get("pods", f"--selector={selector}")["items"]
    containers = [container for pod in pods for container in pod["status"]["containerStatuses"]]
    assert {container["restartCount"] for container in containers} == {0}
