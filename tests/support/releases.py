"""The chart, installed by Helm on the testbed with the images that this repository makes."""

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
# What each service is called in the chart's values.
_KEYS = {"gateway": "gateway", "dispatcher": "dispatcher", "status-watcher": "statusWatcher"}
SERVICES = tuple(_KEYS)
_PATIENCE = "--timeout=180s"


def gateway_url(kubectl: Kubectl) -> str:
    """Return where the gateway's Service answers in the namespace that is meant."""
    service = kubectl.get("service", "sluice-gateway")["spec"]
    return f"http://{service['clusterIP']}:{service['ports'][0]['port']}"


@contextlib.asynccontextmanager
async def gateway_client(kubectl: Kubectl) -> AsyncIterator[Client]:
    """Talk to that Service, as another pod would."""
    async with aiohttp.ClientSession(gateway_url(kubectl)) as http:
        yield Client(http)


def load_images(testbed: Testbed) -> None:
    """Give the node the images of the services, built from what is here now."""
    images = Images(default_folders(), load_versions(), repository=Path())
    images.build(say=print)
    for archive in images.service_archives():
        testbed.load_image(archive)


@dataclass(frozen=True)
class Release:
    """A release in a namespace of its own; its runs live in another, its topics are its own."""

    testbed: Testbed
    kafka: Kafka
    topics: TopicNames
    namespace: str
    runs: str
    values: Mapping[str, Any]

    @property
    def kubectl(self) -> Kubectl:
        """The administrator, who means the release's namespace."""
        return self.testbed.kubectl().within(self.namespace)

    def helm(self, command: str, *words: str | Path, timeout: str = _PATIENCE) -> None:
        """Run one of Helm's commands on the release, and wait for what it has changed."""
        helm = self.testbed.programs.stock.program("helm", "helm")
        where = [f"--kubeconfig={self.testbed.kubeconfig()}", f"--namespace={self.namespace}"]
        run([helm, command, "sluice", *words, *where, "--wait", timeout])

    def upgrade(self, chart: Path = CHART) -> None:
        """Install or upgrade to a chart with the release's values."""
        values = [f"--set-json={name}={json.dumps(value)}" for name, value in self.values.items()]
        self.helm("upgrade", chart, "--install", *values)

    def client(self) -> AbstractAsyncContextManager[Client]:
        """Talk to the gateway's Service, as another pod would."""
        return gateway_client(self.kubectl)

    def url(self) -> str:
        """Return where the gateway's Service answers."""
        return gateway_url(self.kubectl)

    def workflows(self) -> list[Json]:
        """Return the Workflows of all runs."""
        found: list[Json] = self.testbed.kubectl().within(self.runs).get("workflows")["items"]
        return found


@contextlib.contextmanager
def released(
    testbed: Testbed, kafka: Kafka, *, chart: Path = CHART, values: Mapping[str, Any] | None = None
) -> Iterator[Release]:
    """Install a chart, with values besides those that the testbed needs, while the body runs."""
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
                    # Names of pods are those of the group's members, and the same in all releases.
                    **({"consumerGroup": namespace} if key == "dispatcher" else {}),
                    **more.get(key, {}),
                }
                for service, key in _KEYS.items()
            },
            "workflows": {"namespace": runs, **more.get("workflows", {})},
        },
    )
    kubectl.apply([restricted_namespace(namespace), restricted_namespace(runs), store_secret(runs)])
    try:
        release.upgrade(chart)
        yield release
    finally:
        # Unless a test has done so: without it, what is held would hold the namespace, too.
        with contextlib.suppress(TestbedError):
            release.helm("uninstall")
        kubectl("delete", "namespace", namespace, runs, "--ignore-not-found", "--wait=false")
