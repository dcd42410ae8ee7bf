"""Nothing is lost when parts of the cluster itself die, or a namespace is taken away."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cluster import argo
from testbed.machine.processes import Program
from testbed.testbed import Testbed
from tests.support.client import Client
from tests.support.engines import Engine, real_engines
from tests.support.kafka import KafkaServer, read_all, unique_name
from tests.support.sluice import Sluice, Topic, running_sluice
from tests.support.watching import run_ids_of, until_leaving

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.upheaval,
    pytest.mark.parametrize("engine", real_engines(), indirect=True, scope="session"),
]


async def phases_of(sluice: Sluice, run_ids: list[str]) -> dict[str, str]:
    """Wait for each run's outcome; there must be one of each."""
    outcomes: dict[str, str] = {}
    async with Topic(sluice.kafka, sluice.topics.results) as results:
        try:
            async for record in results.records():
                outcome = json.loads(record.value)
                assert outcome["run_id"] not in outcomes
                outcomes[outcome["run_id"]] = outcome["phase"]
                if outcomes.keys() >= set(run_ids):
                    break
        except TimeoutError:
            pytest.fail(f"no outcome of {set(run_ids) - outcomes.keys()}")
    return {run_id: outcomes[run_id] for run_id in run_ids}


async def ask_for(client: Client, workflow: str, *, count: int) -> list[str]:
    run_ids = [unique_name(workflow) for _ in range(count)]
    for run_id in run_ids:
        await client.accepted({"id": run_id, "workflow": workflow})
    return run_ids


def program_of(testbed: Testbed, name: str, *, line: str) -> Program:
    programs = testbed.programs
    running = [*programs.control_plane(), programs.kubelet(), programs.argo_controller(line)]
    [found] = [program for program in running if program.name == name]
    return found


@contextlib.contextmanager
def killed(testbed: Testbed, name: str, *, line: str) -> Iterator[None]:
    """Kill a part, and start it again after the body, however that ends."""
    testbed.processes().kill(name)
    try:
        yield
    finally:
        testbed.start(program_of(testbed, name, line=line))
        if name == "kube-apiserver":
            # Argo may end a Workflow as Error because of it, fail to write that, and forget it.
            # A restarted controller reads all of them. In a cluster the lost Lease restarts it.
            testbed.await_api()
            restart_argo(testbed, line=line)


@pytest.mark.parametrize("name", ["workflow-controller", "kube-apiserver", "kubelet"])
async def test_a_part_is_killed_and_comes_back(sluice: Sluice, name: str) -> None:
    testbed, line = sluice.engine.cluster, sluice.engine.line
    async with sluice.client() as client:
        before = [
            *await ask_for(client, "moment", count=20),
            *await ask_for(client, "hello", count=2),
        ]
        with killed(testbed, name, line=line):
            while_gone = await ask_for(client, "moment", count=20)
        phases = await phases_of(sluice, before + while_gone)
        # Those asked for without an API server were not with Argo yet when it came back.
        unhurt = while_gone if name == "kube-apiserver" else before + while_gone
        assert {phases[run_id] for run_id in unhurt} == {"Succeeded"}
        assert set(phases.values()) <= {"Succeeded", "Error"}
        async with sluice.workflows() as workflows:
            found = await run_ids_of(workflows)
        for run_id in before + while_gone:
            assert found.count(run_id) == 1


def restart_argo(testbed: Testbed, *, line: str) -> None:
    testbed.processes().kill("workflow-controller")
    testbed.start(testbed.programs.argo_controller(line))


@pytest.fixture
def doomed(kafka: KafkaServer, engine: Engine, tmp_path: Path) -> Iterator[Sluice]:
    """A Sluice whose namespace may go."""
    with running_sluice(kafka, tmp_path, engine=engine) as running:
        yield running


async def test_a_namespace_is_deleted_and_each_run_has_its_end(doomed: Sluice) -> None:
    kubectl = doomed.engine.cluster.kubectl()
    async with doomed.client() as client:
        waiting = await ask_for(client, "approval", count=5)
        over = await ask_for(client, "moment", count=5)
        assert set((await phases_of(doomed, over)).values()) == {"Succeeded"}
        # Argo, too, may see that it is gone before the end, and call that an error.
        kubectl("delete", "namespace", doomed.namespace, "--wait=false")
        assert set((await phases_of(doomed, waiting)).values()) <= {"Deleted", "Error"}
    kubectl("wait", f"namespace/{doomed.namespace}", "--for=delete", "--timeout=180s")


@pytest.fixture
def retentive(sluice: Sluice) -> Iterator[Sluice]:
    """A Sluice on an Argo that keeps only two Workflows that have succeeded."""
    testbed, line = sluice.engine.cluster, sluice.engine.line

    def configure(**more: str) -> None:
        testbed.kubectl().apply([argo.configuration(**more)])
        restart_argo(testbed, line=line)

    try:
        configure(retentionPolicy='{"completed": 2}')
        yield sluice
    finally:
        configure()


async def test_workflows_that_retention_deletes_unwatched_still_get_their_end(
    retentive: Sluice,
) -> None:
    retentive.stop("status-watcher")
    async with retentive.client() as client, retentive.workflows() as workflows:
        run_ids = await ask_for(client, "moment", count=10)
        await until_leaving(workflows, run_ids, count=8)
        retentive.start("status-watcher")
        assert set((await phases_of(retentive, run_ids)).values()) == {"Succeeded"}
    results = await read_all(retentive.kafka, retentive.topics.results)
    ids = [json.loads(record.value)["run_id"] for record in results]
    assert [ids.count(run_id) for run_id in run_ids] == [1] * len(run_ids)
