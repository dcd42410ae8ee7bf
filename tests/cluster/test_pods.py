"""The chart's pods, of the images that Docker built: a POST through their Service succeeds."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.errors import TestbedError
from testbed.kubectl import Kubectl
from testbed.testbed import Testbed
from testbed.versions import load_versions
from testbed.waiting import wait_until
from tests.support.kafka import unique_name
from tests.support.releases import SERVICES, Release, load_images, released

# The images may have to be built first.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

KAFKA = load_versions().kafka
ONE_OF_EACH = {
    "gateway": {"replicas": 1},
    "dispatcher": {"replicas": 1},
    "statusWatcher": {"replicas": 1},
}


@pytest.fixture(scope="module")
def testbed_with_images(testbed: Testbed) -> Testbed:
    """The testbed, whose node has the images of the services."""
    load_images(testbed)
    return testbed


@pytest.fixture(scope="module", params=KAFKA, ids=lambda line: f"kafka-{line}")
def deployed(testbed_with_images: Testbed, request: pytest.FixtureRequest) -> Iterator[Release]:
    """The three services, ready, on each line of Kafka."""
    testbed = testbed_with_images
    with released(testbed, testbed.kafka[request.param], values=ONE_OF_EACH) as release:
        yield release


def workload_of(service: str) -> str:
    kind = "statefulset" if service == "dispatcher" else "deployment"
    return f"{kind}/sluice-{service}"


async def test_a_post_through_the_service_ends_succeeded(deployed: Release) -> None:
    text = "Straße a b a {{workflow.name}}"
    async with deployed.client() as client:
        outcome = await client.outcome(
            {"workflow": "map-reduce", "parameters": {"workers": 2, "text": text}}
        )
    assert outcome["phase"] == "Succeeded", outcome
    counts = {"strasse": 1, "a": 2, "b": 1, "workflow": 1, "name": 1}
    assert json.loads(outcome["outputs"]["counts"]) == counts


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_nobody_on_a_read_only_file_system(deployed: Release, service: str) -> None:
    inside = ("exec", workload_of(service), "--")
    assert deployed.kubectl(*inside, "id", "-u").strip() == "65532"
    with pytest.raises(TestbedError, match="Read-only file system"):
        deployed.kubectl(*inside, "touch", "/opt/sluice/new")
    token = ("ls", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    if service == "gateway":
        with pytest.raises(TestbedError, match="No such file"):
            deployed.kubectl(*inside, *token)
    else:
        assert deployed.kubectl(*inside, *token)


def test_the_gateway_is_found_by_its_name(deployed: Release) -> None:
    asking = f"http://sluice-gateway.{deployed.namespace}:8080/v1/workflows"
    program = f"import urllib.request as u; print(u.urlopen({asking!r}, timeout=10).status)"
    inside = ("exec", workload_of("dispatcher"), "--", "python", "-c", program)
    assert deployed.kubectl(*inside).strip() == "200"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_run_outlives_a_rollout(deployed: Release, service: str) -> None:
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
    selector = f"--selector=app.kubernetes.io/component={service}"
    pods: list[dict[str, Any]] = kubectl.get("pods", selector)["items"]
    return pods


def replace_pods(kubectl: Kubectl, service: str) -> None:
    """Roll out again; returns once the pods from before are gone, and nobody can ask them."""
    before = [pod["metadata"]["uid"] for pod in pods_of(kubectl, service)]
    kubectl("rollout", "restart", workload_of(service))
    kubectl("rollout", "status", workload_of(service), "--timeout=180s")
    wait_until(
        lambda: not {pod["metadata"]["uid"] for pod in pods_of(kubectl, service)} & set(before),
        what="The end of the pods from before",
        seconds=180,
        every=0.5,
    )
