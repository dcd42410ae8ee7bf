"""The chart, installed by Helm on the testbed with the images of this repository."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from sluice_contracts.topics import TopicNames
from testbed.building.commands import run
from testbed.cluster.kafka import Kafka
from testbed.cluster.namespaces import restricted_namespace, store_secret
from testbed.docker.images import Images
from testbed.errors import TestbedError
from testbed.folders import default_folders
from testbed.kubectl import Kubectl
from testbed.testbed import Testbed
from testbed.versions import load_versions
from tests.support.client import Client
from tests.support.kafka import topic_names, unique_name

Json = dict[str, Any]

CHART = Path("helm/sluice")
# The names of the services in the chart's values.
_KEYS = {"gateway": "gateway", "dispatcher": "dispatcher", "status-watcher": "statusWatcher"}
SERVICES = tuple(_KEYS)
_PATIENCE = "--timeout=180s"
# Lets the gateway serve without identities, which a chart never does by default.
OPEN: Mapping[str, Any] = {"auth": {"mode": "none"}}


def gateway_url(kubectl: Kubectl) -> str:
    """Return the URL of the gateway's Service in the namespace of `kubectl`."""
    service = kubectl.get("service", "sluice-gateway")["spec"]
    return f"http://{service['clusterIP']}:{service['ports'][0]['port']}"


@contextlib.asynccontextmanager
async def gateway_client(kubectl: Kubectl) -> AsyncIterator[Client]:
    """Yield a client of the gateway's Service, as used by another pod."""
    async with aiohttp.ClientSession(gateway_url(kubectl)) as http:
        yield Client(http)


def load_images(testbed: Testbed) -> None:
    """Load the images of the services into the node, built from the working tree."""
    images = Images(default_folders(), load_versions(), repository=Path())
    images.build(say=print)
    for archive in images.service_archives():
        testbed.load_image(archive)


@dataclass(frozen=True)
class Release:
    """A release in its own namespace and with its own topics; its runs are in another namespace."""

    testbed: Testbed
    kafka: Kafka
    topics: TopicNames
    namespace: str
    runs: str
    values: Mapping[str, Any]

    @property
    def kubectl(self) -> Kubectl:
        """The administrator's kubectl in the release's namespace."""
        return self.testbed.kubectl().within(self.namespace)

    def helm(self, command: str, *words: str | Path, timeout: str = _PATIENCE) -> None:
        """Run one of Helm's commands on the release, and wait until it is complete."""
        helm = self.testbed.programs.stock.program("helm", "helm")
        where = [f"--kubeconfig={self.testbed.kubeconfig()}", f"--namespace={self.namespace}"]
        run([helm, command, "sluice", *words, *where, "--wait", timeout])

    def upgrade(self, chart: Path = CHART) -> None:
        """Install or upgrade to a chart with the release's values."""
        values = [f"--set-json={name}={json.dumps(value)}" for name, value in self.values.items()]
        self.helm("upgrade", chart, "--install", *values)

    def client(self) -> AbstractAsyncContextManager[Client]:
        """Return a client of the gateway's Service, as used by another pod."""
        return gateway_client(self.kubectl)

    def url(self) -> str:
        """Return the URL of the gateway's Service."""
        return gateway_url(self.kubectl)

    def workflows(self) -> list[Json]:
        """Return the Workflows of all runs."""
        found: list[Json] = self.testbed.kubectl().within(self.runs).get("workflows")["items"]
        return found


@contextlib.contextmanager
def released(
    testbed: Testbed,
    kafka: Kafka,
    *,
    chart: Path = CHART,
    values: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] = OPEN,
) -> Iterator[Release]:
    """Install a chart while the body runs, with `values` and those that the testbed needs.

    `gateway` has the gateway's values about identity, in the words of the chart.
    """
    namespace, topics = unique_name("released"), topic_names("released")
    kubectl, runs = testbed.kubectl(), f"{namespace}-runs"
    more: Mapping[str, Any] = values or {}
    release = Release(
        testbed=testbed,
        kafka=kafka,
        topics=topics,
        namespace=namespace,
        runs=runs,
        values={
            "image": {"registry": "docker.io/library", "tag": "dev", "pullPolicy": "Never"},
            "kafka": {
                "bootstrapServers": kafka.bootstrap_servers,
                "replicationFactor": 1,
                "topics": topics.model_dump(),
            },
            **{
                key: {
                    "image": {"repository": f"sluice-{service}"},
                    # Pod names are the group's member ids, and the same in all releases.
                    **({"consumerGroup": namespace} if key == "dispatcher" else {}),
                    **(gateway if key == "gateway" else {}),
                    **more.get(key, {}),
                }
                for service, key in _KEYS.items()
            },
            "workflows": {"namespace": runs, **more.get("workflows", {})},
            **({"networkPolicy": more["networkPolicy"]} if "networkPolicy" in more else {}),
        },
    )
    kubectl.apply([restricted_namespace(namespace), restricted_namespace(runs), store_secret(runs)])
    try:
        release.upgrade(chart)
        yield release
    finally:
        # A test may have done so. Without it, finalizers would block the namespace's deletion.
        with contextlib.suppress(TestbedError):
            release.helm("uninstall")
        kubectl("delete", "namespace", namespace, runs, "--ignore-not-found", "--wait=false")
