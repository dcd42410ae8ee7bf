"""The log of a step, as the API server of Kubernetes gives it."""

import asyncio
import dataclasses
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.tests.workflows import WorkflowClient, nodes, python, workflow
from sluice_engine.controller.names import pod_name
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from sluice_engine.steps.step_log import LogQuery, StepLog, read_log
from tests.behaviour.kubernetes_client import KubernetesClient

PLAIN = LogQuery(tail=None, since=None, timestamps=False)
TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (.*)\n")


class LogClient:
    """Reads pods and logs of one namespace."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._pods = f"{url}/api/v1/namespaces/argo/pods"

    async def pod(self, name: str) -> tuple[int, Any]:
        async with self._session.get(f"{self._pods}/{name}") as response:
            return response.status, await response.json()

    async def log(self, name: str, **query: str) -> tuple[int, str]:
        async with self._session.get(f"{self._pods}/{name}/log", params=query) as response:
            return response.status, await response.text()

    @asynccontextmanager
    async def follow(self, name: str, **query: str) -> AsyncIterator[aiohttp.StreamReader]:
        params = {"follow": "true"} | query
        async with self._session.get(f"{self._pods}/{name}/log", params=params) as response:
            assert response.status == 200
            yield response.content


@pytest.fixture
def logs(engine: Engine, session: aiohttp.ClientSession) -> LogClient:
    return LogClient(session, engine.url)


def texts(log: str) -> list[str]:
    return TIMED.findall(log)


SCRIPT = "import sys\nfor n in range(5): print(n)\nprint('no line end', end='', file=sys.stderr)"


async def test_a_finished_step_has_a_pod_and_a_log(
    workflows: WorkflowClient, logs: LogClient
) -> None:
    done = await workflows.succeed(workflow(python("main", SCRIPT)))
    code, pod = await logs.pod("wf")
    assert code == 200
    assert pod["metadata"]["labels"]["workflows.argoproj.io/workflow"] == "wf"
    assert pod["metadata"]["annotations"]["workflows.argoproj.io/node-id"] == "wf"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == done["metadata"]["uid"]
    assert pod["status"]["containerStatuses"] == [{"name": "main", "state": {"terminated": {}}}]
    assert await logs.log("wf") == (200, "0\n1\n2\n3\n4\nno line end\n")
    assert await logs.log("wf", tailLines="2") == (200, "4\nno line end\n")
    assert await logs.log("wf", tailLines="0") == (200, "")
    _, timed = await logs.log("wf", timestamps="true")
    assert texts(timed) == ["0", "1", "2", "3", "4", "no line end"]
    times = [line[:30] for line in timed.splitlines()]
    assert times == sorted(set(times))
    _, since = await logs.log("wf", sinceTime=f"{times[0][:19]}.5Z")
    assert since.startswith("0\n")
    assert await logs.log("wf", sinceTime="2999-01-01T00:00:00Z") == (200, "")


async def test_the_pods_of_a_graph_have_argo_s_names(
    workflows: WorkflowClient, logs: LogClient
) -> None:
    tasks = [{"name": "one", "template": "say"}]
    done = await workflows.succeed(
        workflow({"name": "main", "dag": {"tasks": tasks}}, python("say", "print('hi')"))
    )
    name = pod_name("wf", nodes(done)["one"]["name"], "say")
    assert name.startswith("wf-say-")
    assert await logs.log(name) == (200, "hi\n")
    assert (await logs.pod("wf"))[0] == 404
    assert (await logs.pod(name + "0"))[0] == 404


async def test_a_running_step_is_followed_to_its_end(
    workflows: WorkflowClient, logs: LogClient, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    script = (
        f"import pathlib\nprint('first', flush=True)\nopen({str(gate)!r}).read()\nprint('last')"
    )
    os.mkfifo(gate)
    await workflows.submit(workflow(python("main", script)))
    # It opens when the script has come as far.
    opened = await asyncio.to_thread(gate.open, "w")
    async with logs.follow("wf") as log:
        assert await log.readline() == b"first\n"
        with opened:
            opened.write("go on")
        assert await log.read() == b"last\n"


async def test_a_step_that_waits_for_a_slot_has_no_log_yet(
    settings: EngineSettings, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    one = dataclasses.replace(settings, parallel_steps=1)
    async with Engine(one) as engine:
        workflows = WorkflowClient(KubernetesClient(session, engine.url, "argo"))
        logs = LogClient(session, engine.url)
        await workflows.submit(workflow(python("main", f"open({str(gate)!r}).read()"), name="a"))
        await workflows.waiting("a", name="a")
        await workflows.submit(workflow(python("main", "print('b')"), name="b"))
        await workflows.until("b", lambda o: "nodes" in o.get("status", {}))
        code, pod = await logs.pod("b")
        assert (code, pod["status"]["containerStatuses"][0]["state"]) == (200, {"waiting": {}})
        code, text = await logs.log("b")
        assert code == 400
        assert "is waiting to start" in text
        # It waits until the step opens it, which the engine in this loop has to start.
        await asyncio.to_thread(gate.write_text, "go on")
        await workflows.finished("b")
        assert await logs.log("b") == (200, "b\n")


async def test_a_log_is_there_after_a_restart_and_gone_with_its_folder(
    settings: EngineSettings, session: aiohttp.ClientSession
) -> None:
    async with Engine(settings) as engine:
        workflows = WorkflowClient(KubernetesClient(session, engine.url, "argo"))
        done = await workflows.succeed(workflow(python("main", "print('kept')")))
    async with Engine(settings) as engine:
        logs = LogClient(session, engine.url)
        assert await logs.log("wf") == (200, "kept\n")
        shutil.rmtree(settings.data_dir / "steps" / done["metadata"]["uid"])
        assert (await logs.pod("wf"))[0] == 404


def size_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


async def written(folder: Path, query: LogQuery = PLAIN) -> list[bytes]:
    pieces = [piece async for piece in read_log(folder, query, follow=None)]
    return b"".join(pieces).splitlines()


async def test_the_newest_lines_of_a_flood_are_kept(tmp_path: Path) -> None:
    log = StepLog(tmp_path, max_bytes=10_000)
    for n in range(10_000):
        log.write("stdout", b"%d\n" % n)
    log.close()
    lines = await written(tmp_path)
    assert lines == [b"%d" % n for n in range(10_000 - len(lines), 10_000)]
    assert 5_000 <= size_of(tmp_path) <= 10_000


async def test_a_line_without_end_is_cut_and_the_streams_are_not_mixed(tmp_path: Path) -> None:
    log = StepLog(tmp_path, max_bytes=1 << 20)
    log.write("stdout", b"x" * 100_000)
    log.write("stderr", b"between\n")
    log.write("stdout", b"\xff\n")
    log.close()
    assert await written(tmp_path) == [b"x" * 65_536, b"between", b"x" * 34_464 + b"\xff"]


async def test_a_reader_goes_on_when_the_files_change(tmp_path: Path) -> None:
    log = StepLog(tmp_path, max_bytes=10_000)
    log.write("stdout", b"begin\n")
    reader = read_log(tmp_path, PLAIN, follow=log)
    assert await anext(reader) == b"begin\n"
    for n in range(200):
        log.write("stdout", b"%d\n" % n)
    log.close()
    rest = b"".join([piece async for piece in reader])
    assert rest.splitlines() == [b"%d" % n for n in range(200)]
