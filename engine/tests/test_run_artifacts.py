"""Artifacts between real processes."""

from typing import Any

import pytest

from engine.tests.workflows import (
    WorkflowClient,
    arguments,
    nodes,
    output,
    parameters,
    python,
    workflow,
)
from sluice_engine.settings import EngineSettings


def script(source: str, **fields: Any) -> Any:
    return python("main", source, **fields)


def out(name: str = "o") -> Any:
    return {"parameters": [output(name, f"/tmp/{name}")]}


async def test_artifacts_from_step_to_step(
    workflows: WorkflowClient, settings: EngineSettings
) -> None:
    write = python(
        "write",
        "import pathlib; p = pathlib.Path('/sluice/out'); p.mkdir(parents=True)\n"
        "(p / 'a').write_text('1'); (p / 'b').write_text('2')",
        outputs={"artifacts": [{"name": "all", "path": "/sluice/out"}]},
    )
    read = python(
        "read",
        "import pathlib\n"
        "found = {p.name: p.read_text() for p in pathlib.Path('/in/all').iterdir()}\n"
        "pathlib.Path('/tmp/o').write_text(str(sorted(found.items())))",
        inputs_extra={"artifacts": [{"name": "all", "path": "/in/all"}]},
        outputs=out(),
    )
    given = {"artifacts": [{"name": "all", "from": "{{tasks.w.outputs.artifacts.all}}"}]}
    tasks = [
        {"name": "w", "template": "write"},
        {"name": "r", "template": "read", "depends": "w", "arguments": given},
    ]
    done = await workflows.succeed(workflow({"name": "main", "dag": {"tasks": tasks}}, write, read))
    assert parameters(nodes(done)["r"]) == {"o": "[('a', '1'), ('b', '2')]"}
    [artifact] = nodes(done)["w"]["outputs"]["artifacts"]
    assert (settings.data_dir / "artifacts" / artifact["s3"]["key"] / "a").read_text() == "1"


async def test_a_key_collects_what_many_steps_wrote(workflows: WorkflowClient) -> None:
    part = python(
        "part",
        "import os, pathlib; pathlib.Path('/tmp/p').write_text(os.environ['N'])",
        inputs=["n"],
    )
    key = "{{workflow.name}}/parts/{{inputs.parameters.n}}"
    part["outputs"] = {"artifacts": [{"name": "p", "path": "/tmp/p", "s3": {"key": key}}]}
    whole = {"name": "parts", "path": "/in/parts", "s3": {"key": "{{workflow.name}}/parts"}}
    collect = python(
        "collect",
        "import pathlib\n"
        "found = sorted(p.read_text() for p in pathlib.Path('/in/parts').iterdir())\n"
        "pathlib.Path('/tmp/o').write_text(' '.join(found))",
        inputs_extra={"artifacts": [whole]},
        outputs=out(),
    )
    fan = {"name": "fan", "template": "part", "arguments": arguments(n="{{item}}")}
    fan["withSequence"] = {"count": "4"}
    tasks = [fan, {"name": "c", "template": "collect", "depends": "fan"}]
    main = {"name": "main", "dag": {"tasks": tasks}}
    done = await workflows.succeed(workflow(main, part, collect))
    assert parameters(nodes(done)["c"]) == {"o": "0 1 2 3"}


@pytest.mark.parametrize("optional", [True, False])
async def test_an_artifact_that_is_not_there(workflows: WorkflowClient, *, optional: bool) -> None:
    artifact = {"name": "a", "path": "/in/a", "s3": {"key": "none"}, "optional": optional}
    template = script("", inputs_extra={"artifacts": [artifact]})
    done = await workflows.run(workflow(template))
    assert done["status"]["phase"] == ("Succeeded" if optional else "Error")
