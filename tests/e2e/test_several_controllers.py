"""Two controllers of Argo share the Workflows of one Sluice, by their instance ids."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice_argo import metadata
from sluice_contracts.ids import RunKey, workflow_name
from sluice_dispatcher.domain.workflow_builder import controller_of
from testbed.cluster import argo
from tests.support.engines import Engine, real_engines
from tests.support.kafka import KafkaServer, unique_name
from tests.support.sluice import Sluice, running_sluice

pytestmark = [
    pytest.mark.e2e,
    # It runs controllers beside that of the testbed.
    pytest.mark.upheaval,
    pytest.mark.parametrize("engine", real_engines(), indirect=True, scope="session"),
]

IDS = ("a", "b")


@pytest.fixture
def controllers(engine: Engine) -> Iterator[None]:
    """Run two controllers more, each for the Workflows with its instance id."""
    testbed = engine.cluster
    plain = testbed.programs.argo_controller(engine.line)
    names = []
    try:
        for number, instance in enumerate(IDS):
            configuration = argo.configuration(
                instanceID=instance, metricsConfig=json.dumps({"port": 9190 + number})
            )
            name = f"{plain.name}-{instance}"
            configuration["metadata"]["name"] = f"{name}-configmap"
            testbed.kubectl().apply([configuration])
            command = [*plain.command, "--configmap", f"{name}-configmap"]
            testbed.start(dataclasses.replace(plain, name=name, command=command))
            names.append(name)
        yield
        for name in names:
            assert testbed.processes().why_not(name) is None
    finally:
        for name in names:
            testbed.processes().kill(name)


@pytest.fixture
def sluice(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice whose Workflows are for the two."""
    environment = {"dispatcher": {"SLUICE_WORKFLOWS__INSTANCE_IDS": json.dumps(IDS)}}
    with running_sluice(kafka, tmp_path, engine=engine, environment=environment) as running:
        yield running


def ids_for(instance: str, *, count: int) -> list[str]:
    """Return ids of runs whose Workflows are for this controller."""
    found: list[str] = []
    while len(found) < count:
        run_id = unique_name("shared")
        if controller_of(workflow_name(RunKey("default", run_id)), IDS) == instance:
            found.append(run_id)
    return found


@pytest.mark.usefixtures("controllers")
async def test_each_controller_ends_its_share(sluice: Sluice) -> None:
    wanted = {run_id: instance for instance in IDS for run_id in ids_for(instance, count=3)}
    parameters = {"text": "a b a", "workers": 2}
    async with sluice.client() as client:
        for run_id in wanted:
            await client.accepted(
                {"id": run_id, "workflow": "map-reduce", "parameters": parameters}
            )
        for run_id in wanted:
            ended = (await client.events(run_id))[-1]
            assert (ended["phase"], ended["outputs"]["total"]) == ("Succeeded", "3")
    async with sluice.workflows() as workflows:
        page = await workflows.list_page(limit=100, continue_token=None)
    assert wanted == {
        each["metadata"]["annotations"][metadata.RUN_ID]: each["metadata"]["labels"][
            metadata.INSTANCE_ID
        ]
        for each in page.items
    }
