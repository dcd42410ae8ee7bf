"""Tenants whose Workflows are in namespaces of their own, and a tenant that moves to one."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from sluice_argo.workflows_api import WorkflowsApi
from sluice_contracts.ids import RunKey, workflow_name
from sluice_runtime.kubernetes.errors import NotFoundError
from tests.support.engines import Engine
from tests.support.kafka import KafkaServer, read_all, unique_name
from tests.support.sluice import Sluice, Topic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Json = dict[str, Any]

KUBERNETES = ("dispatcher", "status-watcher")
TENANTS = "SLUICE_KUBERNETES__TENANTS"


class Town:
    """A Sluice, and two namespaces more."""

    def __init__(self, kafka: KafkaServer, engine: Engine, data_dir: Path) -> None:
        self._environment: dict[str, dict[str, str]] = {each: {} for each in KUBERNETES}
        self.sluice = Sluice(kafka, data_dir, engine=engine, environment=self._environment)
        self.acme, self.globex = unique_name("acme"), unique_name("globex")
        if not engine.is_local:
            for namespace in (self.acme, self.globex):
                engine.cluster.prepare_namespace(namespace)

    def use(self, tenants: Mapping[str, Json]) -> None:
        """Restart the services that use the API server with this mapping."""
        for each in KUBERNETES:
            self._environment[each][TENANTS] = json.dumps(tenants)
        self.sluice.stop(*KUBERNETES)
        self.sluice.start(*KUBERNETES)

    async def places(self, run_id: str, *, tenant: str) -> list[str]:
        """Return the namespaces that have a Workflow of the run's name."""
        name = workflow_name(RunKey(tenant, run_id))
        found = []
        async with self.sluice.kubernetes() as client:
            for namespace in (self.sluice.namespace, self.acme, self.globex):
                workflows = WorkflowsApi(
                    client, namespace=namespace, request_timeout=timedelta(seconds=15)
                )
                try:
                    await workflows.get(name)
                except NotFoundError:
                    continue
                found.append(namespace)
        return found

    async def phase(self, run_id: str, phase: str, *, tenant: str) -> None:
        """Wait until an event says that the run is in this phase."""
        async with Topic(self.sluice.kafka, self.sluice.topics.status) as status:
            async for record in status.of(f"{tenant}/{run_id}".encode()):
                if json.loads(record.value).get("phase") == phase:
                    return

    async def outcomes(self, run_id: str) -> list[tuple[str, str]]:
        """Return phase and namespace of each outcome on the results topic."""
        records = await read_all(self.sluice.kafka, self.sluice.topics.results)
        events = [json.loads(each.value) for each in records]
        return [
            (event["phase"], event["namespace"]) for event in events if event["run_id"] == run_id
        ]


@pytest.fixture
def town(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Town]:
    made = Town(kafka, engine, tmp_path)
    try:
        made.sluice.start()
        yield made
    finally:
        made.sluice.stop()


def hello(tenant: str) -> Json:
    run_id, parameters = unique_name(tenant), {"name": "Ada"}
    return {"id": run_id, "workflow": "hello", "tenant": tenant, "parameters": parameters}


async def test_runs_and_events_are_of_the_namespace_of_their_tenant(town: Town) -> None:
    await asyncio.to_thread(
        town.use, {"acme": {"namespace": town.acme}, "globex": {"namespace": town.globex}}
    )
    wanted = {"acme": town.acme, "globex": town.globex, "default": town.sluice.namespace}
    documents = [hello(tenant) for tenant in wanted]
    async with town.sluice.client() as client:
        for document in documents:
            await client.accepted(document)
        for document in documents:
            run_id, tenant = document["id"], document["tenant"]
            outcome = (await client.events(run_id, tenant=tenant))[-1]
            assert (outcome["phase"], outcome["namespace"]) == ("Succeeded", wanted[tenant])
            assert await town.places(run_id, tenant=tenant) == [wanted[tenant]]
            assert await town.outcomes(run_id) == [("Succeeded", wanted[tenant])]


async def test_a_tenant_moves_and_keeps_its_runs(town: Town) -> None:
    waiting = {"id": unique_name("acme"), "workflow": "farewell", "tenant": "acme"}
    moved, old = hello("acme"), town.sluice.namespace
    async with town.sluice.client() as client:
        await client.accepted(waiting)
        await town.phase(waiting["id"], "Suspended", tenant="acme")
        mapping = {"acme": {"namespace": town.acme, "moved_from": [old]}}
        await asyncio.to_thread(town.use, mapping)
        # As after a rebalance: the request comes to a dispatcher that has the new mapping.
        await write(town.sluice, waiting)
        await client.accepted(moved)
        assert (await client.events(moved["id"], tenant="acme"))[-1]["phase"] == "Succeeded"
        assert await town.places(moved["id"], tenant="acme") == [town.acme]
        assert await town.places(waiting["id"], tenant="acme") == [old]
        await write(town.sluice, {"type": "terminate", "id": waiting["id"], "tenant": "acme"})
        outcome = (await client.events(waiting["id"], tenant="acme"))[-1]
        assert (outcome["phase"], outcome["namespace"]) == ("Failed", old)
    assert await town.outcomes(waiting["id"]) == [("Failed", old)]


async def write(sluice: Sluice, document: Json) -> None:
    """Write a record of one partition: those of one run are handled in this order."""
    producer = AIOKafkaProducer(bootstrap_servers=sluice.kafka.bootstrap_servers)
    await producer.start()
    try:
        value = json.dumps(document).encode()
        await producer.send_and_wait(sluice.topics.requests, value, partition=0)
    finally:
        await producer.stop()
