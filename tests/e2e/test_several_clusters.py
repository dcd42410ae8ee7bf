"""Two clusters behind one gateway: a tenant's runs are in the cluster of its door.

The second cluster is always a local engine, beside whatever the first one is.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_runtime.kubernetes.errors import NotFoundError
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, read_all, unique_name
from tests.support.matrix import LOCAL
from tests.support.sluice import DATA, Sluice

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Json = dict[str, Any]

DOORS = [{"name": "globex", "tenants": ["globex"], "cluster": "west"}]
WEST = ("dispatcher", "status-watcher")


class Clusters:
    """A whole Sluice in one cluster; dispatcher and status-watcher in another one, `west`."""

    def __init__(self, kafka: KafkaServer, engine: Engine, folder: Path) -> None:
        doors = {"SLUICE_KAFKA__DOORS": json.dumps(DOORS)}
        services = ("gateway", "dispatcher", "status-watcher")
        self.home = Sluice(
            kafka, folder / "home", engine=engine, environment=dict.fromkeys(services, doors)
        )
        topics = {
            f"SLUICE_KAFKA__TOPICS__{name.upper()}": topic
            for name, topic in self.home.topics.model_dump().items()
        }
        west = {
            "dispatcher": {**doors, **topics, "SLUICE_DISPATCH__CLUSTER": "west"},
            "status-watcher": {**doors, **topics},
        }
        # Its dispatcher is in the group of the other one, but for the name of the cluster.
        self.west = Sluice(kafka, folder / "west", engine=Engine(LOCAL), environment=west)
        self.west.group = self.home.group

    def start(self) -> None:
        """Start all of both."""
        self.home.start()
        self.west.start("engine")
        self.west.apply(DATA / "templates.yaml")
        self.west.start(*WEST)

    def stop(self) -> None:
        """Stop all of both."""
        self.west.stop()
        self.home.stop()

    async def places(self, run_id: str, tenant: str) -> list[str]:
        """Return in which clusters the run has a Workflow."""
        name, found = workflow_name(RunKey(tenant, run_id)), []
        for place, sluice in (("home", self.home), ("west", self.west)):
            async with sluice.workflows() as workflows:
                try:
                    await workflows.get(name)
                except NotFoundError:
                    continue
                found.append(place)
        return found

    async def outcomes(self, run_id: str, tenant: str) -> list[str]:
        """Return the phase of each outcome on the results topic of the tenant."""
        topic = self.home.topics.results + (".globex" if tenant == "globex" else "")
        events = [json.loads(each.value) for each in await read_all(self.home.kafka, topic)]
        return [event["phase"] for event in events if event["run_id"] == run_id]


@pytest.fixture
def clusters(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Clusters]:
    made = Clusters(kafka, engine, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def hello(tenant: str) -> Json:
    run_id, parameters = unique_name(tenant), {"name": "Ada"}
    return {"id": run_id, "workflow": "hello", "tenant": tenant, "parameters": parameters}


async def test_a_run_is_in_its_tenant_s_cluster_and_one_cluster_can_be_away(
    clusters: Clusters,
) -> None:
    async with clusters.home.client() as client:
        documents = [hello(tenant) for tenant in ("globex", "default", "globex", "acme")]
        for document in documents:
            await client.accepted(document)
        for document in documents:
            run_id, tenant = document["id"], document["tenant"]
            assert (await client.events(run_id, tenant=tenant))[-1]["phase"] == "Succeeded"
            place = "west" if tenant == "globex" else "home"
            assert await clusters.places(run_id, tenant) == [place]
            assert await clusters.outcomes(run_id, tenant) == ["Succeeded"]

        clusters.west.kill("engine")
        away, here = hello("globex"), hello("acme")
        await client.accepted(away)
        await client.accepted(here)
        assert (await client.events(here["id"], tenant="acme"))[-1]["phase"] == "Succeeded"
        assert not await clusters.outcomes(away["id"], "globex")
        await asyncio.to_thread(clusters.west.start, "engine")
        assert (await client.events(away["id"], tenant="globex"))[-1]["phase"] == "Succeeded"
        assert await clusters.places(away["id"], "globex") == ["west"]
        assert await clusters.outcomes(away["id"], "globex") == ["Succeeded"]
