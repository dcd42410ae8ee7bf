"""Helm alone: the chart's previous version, this one, the way back, and the end."""

import asyncio
import collections
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from sluice_contracts.metadata import RUN_ID
from testbed.building.commands import run
from testbed.cluster.kafka import Kafka
from testbed.kubectl import Kubectl
from testbed.testbed import Testbed
from testbed.waiting import wait_until
from tests.release.load import under_load
from tests.release.manifests import Json, suspended_template
from tests.support.client import Client
from tests.support.kafka import read_all, topic_names, unique_name

pytestmark = [pytest.mark.cluster, pytest.mark.upheaval, pytest.mark.timeout(600)]

PREVIOUS = Path("tests/data/charts/sluice-0.1.0.tgz")
CHART = Path("helm/sluice")
_MINUTE = "--timeout=60s"


@dataclass(frozen=True)
class Release:
    """A release of Helm's, in a namespace of its own; its runs live in another."""

    testbed: Testbed
    kafka: Kafka
    namespace: str
    runs: str
    values: Json

    @property
    def kubectl(self) -> Kubectl:
        """The administrator, who means the release's namespace."""
        return self.testbed.kubectl().within(self.namespace)

    def helm(self, command: str, *words: str | Path, wait: str = "--timeout=180s") -> None:
        """Run one of Helm's commands on the release, and wait for what it has changed."""
        helm = self.testbed.programs.stock.program("helm", "helm")
        where = [f"--kubeconfig={self.testbed.kubeconfig()}", f"--namespace={self.namespace}"]
        run([helm, command, "sluice", *words, *where, "--wait", wait])

    def upgrade(self, chart: Path) -> None:
        """Install or upgrade to a chart with the release's values."""
        values = [f"--set-json={name}={json.dumps(value)}" for name, value in self.values.items()]
        self.helm("upgrade", chart, "--install", *values)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Talk to the gateway's Service."""
        async with aiohttp.ClientSession(self.url()) as http:
            yield Client(http)

    def url(self) -> str:
        """Return where the gateway's Service answers."""
        service = self.kubectl.get("service", "sluice-gateway")["spec"]
        return f"http://{service['clusterIP']}:{service['ports'][0]['port']}"

    def workflows(self) -> list[Json]:
        """Return the Workflows of all runs."""
        found: list[Json] = self.testbed.kubectl().within(self.runs).get("workflows")["items"]
        return found

    def phases(self) -> list[str]:
        """Return the phases that Argo gives them."""
        return [each.get("status", {}).get("phase", "") for each in self.workflows()]


@pytest.fixture
def release(testbed: Testbed) -> Iterator[Release]:
    """The previous version of the chart, installed."""
    namespace = unique_name("upgraded")
    kafka, topics = next(iter(testbed.kafka.values())), topic_names("upgraded")
    release = Release(
        testbed,
        kafka,
        namespace=namespace,
        runs=f"{namespace}-runs",
        values={
            "image": {"registry": "docker.io/library", "tag": "dev", "pullPolicy": "Never"},
            "kafka": {
                "bootstrapServers": kafka.bootstrap_servers,
                "replicationFactor": 1,
                "topics": topics.model_dump(),
            },
            "workflows": {
                "namespace": f"{namespace}-runs",
                "executor": {"create": False},
                "catalogue": {
                    "entries": [
                        {"name": name, "description": name, "template": {"name": name}}
                        for name in ("moment", "endless")
                    ]
                },
            },
            **{
                key: {"image": {"repository": f"sluice-{service}"}}
                for key, service in (
                    ("gateway", "gateway"),
                    ("dispatcher", "dispatcher"),
                    ("statusWatcher", "status-watcher"),
                )
            },
        },
    )
    kubectl = testbed.kubectl()
    testbed.prepare_namespace(release.runs)
    templates = [suspended_template("moment", seconds=1), suspended_template("endless")]
    kubectl.within(release.runs).apply(templates)
    kubectl("create", "namespace", namespace)
    release.upgrade(PREVIOUS)
    yield release
    kubectl("delete", "namespace", namespace, release.runs, "--ignore-not-found", "--wait=false")


async def test_nothing_is_lost_or_doubled_by_an_upgrade_and_the_way_back(release: Release) -> None:
    async with under_load(release.url(), workflow="moment", per_second=5) as load:
        await asyncio.to_thread(release.upgrade, CHART)
        await asyncio.to_thread(release.helm, "rollback", "1")
    assert load.answers.keys() == {"202"}
    results = release.values["kafka"]["topics"]["results"]
    told: collections.Counter[str] = collections.Counter()
    async with release.client() as client:
        # The last of each partition comes last.
        for run_id in load.accepted[-50:]:
            assert (await client.events(run_id))[-1]["phase"] == "Succeeded"
    for record in await read_all(release.kafka, results):
        outcome = json.loads(record.value)
        told[outcome["run_id"]] += 1
        assert outcome["phase"] == "Succeeded", outcome
    assert told == dict.fromkeys(load.accepted, 1)
    started = collections.Counter(
        workflow["metadata"]["annotations"][RUN_ID] for workflow in release.workflows()
    )
    assert started == dict.fromkeys(load.accepted, 1)


async def test_it_can_be_removed_within_a_minute_while_workflows_run(release: Release) -> None:
    await asyncio.to_thread(release.upgrade, CHART)
    async with release.client() as client:
        for _ in range(5):
            await client.accepted({"workflow": "endless"})
    await asyncio.to_thread(
        wait_until,
        lambda: release.phases() == ["Running"] * 5,
        what="Five runs",
        seconds=60,
        every=1.0,
    )
    release.helm("uninstall", wait=_MINUTE)
    assert all("finalizers" not in each["metadata"] for each in release.workflows())
    release.testbed.kubectl()("delete", "namespace", release.namespace, release.runs, _MINUTE)
