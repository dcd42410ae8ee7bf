"""What an engine that was stopped, or killed, finds again."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from engine.tests.processes import dead
from engine.tests.workflows import WorkflowClient, python, workflow
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from tests.behaviour.kubernetes_client import TEMPLATES, KubernetesClient, template


class EngineProcess:
    """An engine as a user starts it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> str:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            event = json.loads(line)["event"]
            if event.startswith("local engine ready at "):
                return str(event.split()[-1])
        raise AssertionError("it did not start")

    async def end(self, number: signal.Signals) -> int:
        if self._process.returncode is None:
            self._process.send_signal(number)
        await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


async def spawn(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sluice_engine",
        *arguments,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[EngineProcess]:
    engine = EngineProcess(await spawn("--data-dir", str(folder), "--port", "0"))
    try:
        yield engine
    finally:
        await engine.end(signal.SIGKILL)


async def test_objects_and_versions_survive(
    settings: EngineSettings, session: aiohttp.ClientSession
) -> None:
    async with Engine(settings) as engine:
        api = KubernetesClient(session, engine.url, "argo")
        kept = (await api.create(TEMPLATES, template("kept", a="b"))).body
        await api.create(TEMPLATES, template("gone"))
        await api.delete(TEMPLATES, "gone")
        before = (await api.list(TEMPLATES)).body["metadata"]["resourceVersion"]
    async with Engine(settings) as engine:
        api = KubernetesClient(session, engine.url, "argo")
        assert (await api.get(TEMPLATES, "kept")).body == kept
        listed = await api.list(TEMPLATES, labelSelector="a=b")
        assert (len(listed.body["items"]), listed.body["metadata"]["resourceVersion"]) == (
            1,
            before,
        )
        new = (await api.create(TEMPLATES, template("new"))).body
        assert int(new["metadata"]["resourceVersion"]) > int(before)
        # Nothing was missed since the last version, but what came before is forgotten.
        async with api.watch(TEMPLATES, resourceVersion=before) as watch:
            assert (await watch.next())["object"] == new
        async with api.watch(TEMPLATES, resourceVersion=str(int(before) - 1)) as watch:
            assert (await watch.next())["object"]["code"] == 410


async def test_a_running_step_is_run_again(
    settings: EngineSettings, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    # Without the gate it waits forever, with it it ends.
    source = (
        "import os, threading\n"
        f"print(1, file=open({str(tmp_path / 'runs')!r}, 'a'))\n"
        f"os.path.exists({str(gate)!r}) or threading.Event().wait()"
    )
    async with Engine(settings) as engine:
        workflows = WorkflowClient(KubernetesClient(session, engine.url, "argo"))
        await workflows.submit(workflow(python("main", source)))
        await workflows.waiting("wf")
    gate.touch()
    async with Engine(settings) as engine:
        workflows = WorkflowClient(KubernetesClient(session, engine.url, "argo"))
        done = await workflows.finished()
    assert done["status"]["phase"] == "Succeeded"


async def test_ttl_goes_on_after_a_restart(
    settings: EngineSettings, session: aiohttp.ClientSession
) -> None:
    body = workflow(python("main", ""), ttlStrategy={"secondsAfterCompletion": 3600})
    async with Engine(settings) as engine:
        workflows = WorkflowClient(KubernetesClient(session, engine.url, "argo"))
        await workflows.succeed(body)
        await workflows.merge({"status": {"finishedAt": "2020-01-01T00:00:00Z"}})
    async with Engine(settings) as engine:
        api = KubernetesClient(session, engine.url, "argo")
        await api.call("GET", f"{engine.url}/local/quiet")
        assert (await api.get("apis/argoproj.io/v1alpha1/{ns}workflows", "wf")).code == 404


async def test_sigkill_loses_nothing_and_leaves_no_step_behind(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = (
        "import os, threading\n"
        f"open({str(fifo)!r}, 'w').write(str(os.getpid()))\n"
        "threading.Event().wait()"
    )
    async with running(tmp_path / "data") as engine:
        api = KubernetesClient(session, await engine.ready(), "argo")
        workflows = WorkflowClient(api)
        await workflows.submit(workflow(python("main", source)))
        first = int(await asyncio.to_thread(fifo.read_text))
        names = [f"t{n}" for n in range(50)]
        created = await asyncio.gather(*(api.create(TEMPLATES, template(n)) for n in names))
        await engine.end(signal.SIGKILL)
    async with running(tmp_path / "data") as engine:
        api = KubernetesClient(session, await engine.ready(), "argo")
        second = int(await asyncio.to_thread(fifo.read_text))
        assert second != first
        await dead(first)
        listed = (await api.list(TEMPLATES)).body["items"]
        assert {o["metadata"]["uid"] for o in listed} == {
            answer.body["metadata"]["uid"] for answer in created
        }
        assert await engine.end(signal.SIGTERM) == 0
        await dead(second)


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await spawn("--data-dir", str(tmp_path / "data"), "--port", port)
        _, stderr = await process.communicate()
    assert process.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: it is in use" in stderr.decode()
    assert "--port" in stderr.decode()


async def test_a_broken_data_folder(tmp_path: Path) -> None:
    (tmp_path / "engine.sqlite3").write_bytes(b"this is not a database" * 100)
    process = await spawn("--data-dir", str(tmp_path), "--port", "0")
    _, stderr = await process.communicate()
    assert process.returncode == 1
    assert f"Remove the folder {tmp_path} to start again" in stderr.decode()


async def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    process = await spawn("--data-dir", str(tmp_path / "file"), "--port", "0")
    _, stderr = await process.communicate()
    assert process.returncode == 1
    assert "--data-dir" in stderr.decode()


async def test_a_data_folder_in_use(engine: Engine, settings: EngineSettings) -> None:
    assert engine.url
    process = await spawn("--data-dir", str(settings.data_dir), "--port", "0")
    _, stderr = await process.communicate()
    assert process.returncode == 1
    assert "in use by another local engine" in stderr.decode()


async def test_the_kubeconfig_leads_to_the_engine(engine: Engine, settings: EngineSettings) -> None:
    config = json.loads((settings.data_dir / "kubeconfig").read_text())
    assert config["clusters"][0]["cluster"]["server"] == engine.url
