"""How real processes and whole Workflows come to an end, and what is left of them."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from engine.tests.processes import dead
from engine.tests.workflows import (
    WorkflowClient,
    nodes,
    output,
    parameters,
    python,
    workflow,
)
from sluice_engine.controller.packer import unpack
from sluice_engine.settings import EngineSettings


def script(source: str, **fields: Any) -> Any:
    return python("main", source, **fields)


def out(name: str = "o") -> Any:
    return {"parameters": [output(name, f"/tmp/{name}")]}


def show(expression: str) -> str:
    return f"import os, sys, pathlib; pathlib.Path('/tmp/o').write_text({expression})"


async def test_the_deadline_of_a_template(workflows: WorkflowClient) -> None:
    template = script("import threading; threading.Event().wait()", activeDeadlineSeconds=1)
    done = await workflows.run(workflow(template))
    assert done["status"]["phase"] == "Failed"
    assert "active on the node longer than" in done["status"]["message"]


async def test_stop_kills_the_whole_process_group(
    workflows: WorkflowClient, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    template = script(
        "import os, subprocess, sys, threading\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import threading;"
        "threading.Event().wait()'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "threading.Event().wait()"
    )
    await workflows.submit(workflow(template))
    await workflows.waiting("wf")
    text = await asyncio.to_thread(pids.read_text)
    await workflows.merge({"spec": {"shutdown": "Stop"}})
    done = await workflows.finished()
    assert done["status"]["message"] == "Stopped with strategy 'Stop'"
    quiet = await workflows.api.call("GET", f"{workflows.api.url}/local/quiet")
    assert quiet.body["quiet"]
    for pid in text.split():
        await dead(int(pid))


async def test_the_folders_go_with_the_workflow(
    workflows: WorkflowClient, settings: EngineSettings
) -> None:
    outputs = {"artifacts": [{"name": "a", "path": "/tmp/o"}]}
    done = await workflows.succeed(workflow(script(show("'1'"), outputs=outputs)))
    uid = done["metadata"]["uid"]
    folders = [settings.data_dir / "steps" / uid, settings.data_dir / "artifacts" / uid]
    assert all(folder.exists() for folder in folders)
    await workflows.api.delete("apis/argoproj.io/v1alpha1/{ns}workflows", "wf")
    await workflows.api.call("GET", f"{workflows.api.url}/local/quiet")
    assert not any(folder.exists() for folder in folders)


async def test_ttl_deletes_a_finished_workflow(workflows: WorkflowClient) -> None:
    async with workflows.api.watch(
        "apis/argoproj.io/v1alpha1/{ns}workflows", resourceVersion="1"
    ) as watch:
        await workflows.submit(
            workflow(script(""), ttlStrategy={"secondsAfterSuccess": 0, "secondsAfterFailure": 99})
        )
        types = []
        while "DELETED" not in types:
            types.append((await watch.next())["type"])
    assert types == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


async def test_ttl_respects_a_finalizer(workflows: WorkflowClient) -> None:
    body = workflow(script(""), ttlStrategy={"secondsAfterCompletion": 0})
    body["metadata"]["finalizers"] = ["sluice.dev/outcome-published"]
    await workflows.submit(body)
    held = await workflows.until("wf", lambda o: "deletionTimestamp" in o["metadata"])
    assert held["status"]["phase"] == "Succeeded"
    await workflows.json_patch({"op": "remove", "path": "/metadata/finalizers"})
    gone = await workflows.api.get("apis/argoproj.io/v1alpha1/{ns}workflows", "wf")
    assert gone.code == 404


async def test_many_nodes_are_compressed_as_argo_does(workflows: WorkflowClient) -> None:
    template = script(show("'x' * 400_000"), outputs=out())
    tasks = [{"name": f"t{n}", "template": "main"} for n in range(3)]
    done = await workflows.succeed(workflow({"name": "all", "dag": {"tasks": tasks}}, template))
    assert "nodes" not in done["status"]
    assert len(json.dumps(done)) < 100_000
    unpack(done)
    assert len(parameters(nodes(done)["t2"])["o"]) == 400_000


async def test_a_status_that_does_not_fit_is_an_error(workflows: WorkflowClient) -> None:
    source = "import os, pathlib; pathlib.Path('/tmp/o').write_text(os.urandom(450_000).hex())"
    template = script(source, outputs=out())
    tasks = [{"name": f"t{n}", "template": "main"} for n in range(3)]
    done = await workflows.run(workflow({"name": "all", "dag": {"tasks": tasks}}, template))
    assert done["status"]["phase"] == "Error"
    assert done["status"]["message"].startswith("workflow is longer than maximum allowed size.")
