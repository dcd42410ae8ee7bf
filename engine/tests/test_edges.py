"""What seldom happens: limits, defects of the engine, templates and artifacts from elsewhere."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.tests.simulation import Simulation
from engine.tests.workflows import (
    WorkflowClient,
    arguments,
    nodes,
    output,
    parameters,
    python,
    workflow,
)
from sluice_engine.controller.operator import operate
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from sluice_engine.steps.orders import StepOrder, StepResult
from sluice_engine.store.database import DataFolderError
from sluice_engine.store.store import Store
from tests.behaviour.kubernetes_client import TEMPLATES, WORKFLOWS, KubernetesClient, template

WORK = {"name": "work", "container": {"image": "x", "command": ["true"]}}
CLUSTER = "apis/argoproj.io/v1alpha1/clusterworkflowtemplates"


async def test_a_suspension_ends_by_itself(workflows: WorkflowClient) -> None:
    await workflows.succeed(workflow({"name": "main", "suspend": {"duration": "1s"}}))


async def test_a_person_resumes(workflows: WorkflowClient) -> None:
    await workflows.submit(workflow({"name": "main", "suspend": {}}))
    await workflows.waiting("wf")
    node = {"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:00Z"}
    await workflows.merge({"status": {"nodes": {"wf": node}}})
    assert (await workflows.finished())["status"]["phase"] == "Succeeded"


async def test_the_controller_outruns_no_history(
    settings: EngineSettings, session: aiohttp.ClientSession
) -> None:
    async with Engine(replace(settings, history_changes=1)) as engine:
        workflows = WorkflowClient(KubernetesClient(session, engine.url, "argo"))
        names = [f"wf{n}" for n in range(12)]
        for name in names:
            await workflows.submit(workflow(python("main", ""), name=name))
        await workflows.api.delete(WORKFLOWS, "wf0")
        await workflows.api.call("GET", f"{engine.url}/local/quiet")
        items = (await workflows.api.list(WORKFLOWS)).body["items"]
        assert {o["metadata"]["name"]: o["status"]["phase"] for o in items} == dict.fromkeys(
            names[1:], "Succeeded"
        )


async def test_a_defect_ends_one_workflow_and_no_other(
    workflows: WorkflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(obj: Any, **given: Any) -> Any:
        if obj["metadata"]["name"] == "bad":
            raise RuntimeError("a defect")
        return operate(obj, **given)

    monkeypatch.setattr("sluice_engine.controller.controller.operate", broken)
    bad = await workflows.run(workflow(python("main", ""), name="bad"))
    assert bad["status"]["phase"] == "Error"
    assert bad["status"]["message"] == "the local engine failed: a defect"
    await workflows.succeed(workflow(python("main", ""), name="good"))


async def test_a_workflow_that_leaves_no_room_for_a_status(workflows: WorkflowClient) -> None:
    body = workflow(python("main", "#" * (3 * 512 * 1024 - 700)), name="huge")
    await workflows.submit(body)
    await workflows.succeed(workflow(python("main", ""), name="other"))
    found = await workflows.api.get(WORKFLOWS, "huge")
    assert "status" not in found.body or found.body["status"]["phase"] == "Error"


async def test_templates_of_the_namespace_and_of_the_cluster(workflows: WorkflowClient) -> None:
    api = workflows.api
    say = python(
        "say",
        "import os, pathlib; pathlib.Path('/tmp/o').write_text(os.environ['M'] + '!')",
        inputs=["m"],
        outputs={"parameters": [output("o", "/tmp/o")]},
    )
    stored = template("lib")
    stored["spec"] = {"templates": [say]}
    assert (await api.create(TEMPLATES, stored)).code == 201
    shared = stored | {"kind": "ClusterWorkflowTemplate", "metadata": {"name": "lib"}}
    assert (await api.call("POST", f"{api.url}/{CLUSTER}", shared)).code == 201
    tasks = [
        {
            "name": name,
            "templateRef": {"name": "lib", "template": "say", "clusterScope": cluster},
            "arguments": arguments(m=name),
        }
        for name, cluster in (("own", False), ("shared", True))
    ]
    done = await workflows.succeed(workflow({"name": "main", "dag": {"tasks": tasks}}))
    assert parameters(nodes(done)["own"]) == {"o": "own!"}
    assert parameters(nodes(done)["shared"]) == {"o": "shared!"}


async def test_an_output_parameter_that_is_too_large(workflows: WorkflowClient) -> None:
    source = "import pathlib; pathlib.Path('/tmp/o').write_text('x' * 1_048_577)"
    outputs = {"parameters": [output("o", "/tmp/o")]}
    done = await workflows.run(workflow(python("main", source, outputs=outputs)))
    assert "is larger than 1048576 bytes" in done["status"]["message"]


@pytest.mark.parametrize(
    ("artifact", "phase"),
    [
        ({"name": "a", "path": "/tmp/none"}, "Error"),
        ({"name": "a", "path": "/tmp/none", "optional": True}, "Succeeded"),
        ({"name": "a", "path": "/tmp", "s3": {"key": "a/../../b"}}, "Error"),
    ],
)
async def test_output_artifacts(workflows: WorkflowClient, artifact: Any, phase: str) -> None:
    outputs = {"artifacts": [artifact]}
    done = await workflows.run(workflow(python("main", "", outputs=outputs)))
    assert done["status"]["phase"] == phase


async def test_a_failed_step_keeps_what_it_left(workflows: WorkflowClient) -> None:
    source = "import pathlib; pathlib.Path('/tmp/o').write_text('1'); raise SystemExit(1)"
    outputs = {
        "parameters": [output("o", "/tmp/o"), output("none", "/tmp/none")],
        "artifacts": [{"name": "none", "path": "/tmp/none"}],
    }
    done = await workflows.run(workflow(python("main", source, outputs=outputs)))
    assert done["status"]["phase"] == "Failed"
    assert parameters(nodes(done)["wf"]) == {"o": "1"}


def artifacts_of(order: StepOrder) -> StepResult:
    kept = [{"name": a.name, "path": a.path, "s3": {"key": a.key}} for a in order.output_artifacts]
    for artifact, declared in zip(kept, order.output_artifacts, strict=True):
        if declared.global_name:
            artifact["globalName"] = declared.global_name
    return StepResult("Succeeded", "", {"artifacts": kept} if kept else {})


def test_artifacts_pass_through_nested_templates() -> None:
    make = WORK | {"name": "make"}
    make["outputs"] = {"artifacts": [{"name": "a", "path": "/a", "globalName": "shared"}]}
    take = WORK | {"name": "take", "inputs": {"artifacts": [{"name": "x", "path": "/x"}]}}
    inner = {
        "name": "inner",
        "steps": [[{"name": "make", "template": "make"}]],
        "outputs": {
            "artifacts": [{"name": "b", "from": "{{steps.make.outputs.artifacts.a}}"}],
        },
    }
    given = [{"name": "x", "from": "{{tasks.in.outputs.artifacts.b}}"}]
    shared = [{"name": "x", "from": "{{workflow.outputs.artifacts.shared}}"}]
    tasks = [
        {"name": "in", "template": "inner"},
        {"name": "t", "template": "take", "depends": "in", "arguments": {"artifacts": given}},
        {"name": "g", "template": "take", "depends": "t", "arguments": {"artifacts": shared}},
    ]
    run = Simulation(workflow({"name": "main", "dag": {"tasks": tasks}}, inner, make, take))
    run.run(artifacts_of)
    assert run.status["phase"] == "Succeeded"
    key = run.started[0].output_artifacts[0].key
    assert [a.key for order in run.started[1:] for a in order.input_artifacts] == [key, key]
    assert run.status["outputs"]["artifacts"] == [{"name": "shared", "s3": {"key": key}}]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            {
                "arguments": {
                    "artifacts": [{"name": "x", "from": "{{tasks.no.outputs.artifacts.a}}"}]
                }
            },
            "Unable to resolve: {{tasks.no.outputs.artifacts.a}}",
        ),
        ({}, "inputs.artifacts.x was not supplied"),
        ({"template": "needs"}, "inputs.parameters.p was not supplied"),
        ({"template": "{{workflow.parameters.t}}"}, "template name 'none' undefined"),
        ({"when": "a b"}, "Invalid expression 'a b'"),
        ({"withParam": "{}"}, "withParam value could not be parsed as a JSON list"),
    ],
)
@pytest.mark.parametrize("kind", ["dag", "steps"])
def test_a_senseless_field_is_found_when_it_is_due(kind: str, task: Any, message: str) -> None:
    take = WORK | {"name": "take", "inputs": {"artifacts": [{"name": "x", "path": "/x"}]}}
    needs = WORK | {"name": "needs", "inputs": {"parameters": [{"name": "p"}]}}
    one = {"name": "t", "template": "take", **task}
    main: Any = {"name": "main", "dag": {"tasks": [one]}}
    if kind == "steps":
        main = {"name": "main", "steps": [[one]]}
    run = Simulation(workflow(main, take, needs, WORK, parameters={"t": "none"}))
    run.look()
    found = run.node("t") if kind == "dag" else run.node("[0]")
    assert found["phase"] == "Error"
    assert message in found["message"]
    assert run.status["phase"] == ("Error" if kind == "dag" else "Failed")


def test_a_group_starts_all_of_its_steps_or_none() -> None:
    good, bad = [{"name": name, "template": "work"} for name in ("good", "bad")]
    main = {"name": "main", "steps": [[good, {**bad, "when": "{{steps.none.status}} == x"}]]}
    run = Simulation(workflow(main, WORK))
    run.look()
    assert run.status["phase"] == "Failed"
    assert run.status["message"] == (
        "failed to resolve references: failed to resolve {{steps.none.status}}"
    )
    assert not run.started
    assert "good" not in run.phases()


def test_a_fan_that_is_not_wanted_need_not_make_sense() -> None:
    one = {"name": "t", "template": "work", "when": "false", "withParam": "nonsense"}
    for main in (
        {"name": "main", "dag": {"tasks": [one]}},
        {"name": "main", "steps": [[one]]},
    ):
        run = Simulation(workflow(main, WORK))
        run.look()
        assert (run.phases()["t"], run.status["phase"]) == ("Skipped", "Succeeded")


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"image": "x"}, "container.command is required"),
        (
            {"command": ["x"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            "there is no volume 'v'",
        ),
    ],
)
def test_containers_that_cannot_be_run(container: Any, message: str) -> None:
    run = Simulation(workflow({"name": "main", "container": container}))
    run.look()
    assert run.status["phase"] == "Error"
    assert message in run.status["message"]


def test_a_deadline_of_a_template_is_a_number() -> None:
    run = Simulation(workflow(WORK | {"activeDeadlineSeconds": "{{workflow.name}}"}))
    run.look()
    assert "activeDeadlineSeconds: 'wf' is not a number" in run.status["message"]


def test_outputs_that_a_person_supplies() -> None:
    supplied = {"name": "o", "valueFrom": {"supplied": {}, "default": "none"}}
    ask = {"name": "ask", "suspend": {"duration": 60}, "outputs": {"parameters": [supplied]}}
    run = Simulation(workflow(ask))
    run.look()
    assert run.node("wf")["outputs"]["parameters"] == [supplied]
    run.advance(seconds=60)
    assert run.node("wf")["outputs"]["parameters"] == [{"name": "o", "value": "none"}]


def test_an_output_that_a_person_supplies_has_the_default_of_its_input() -> None:
    asked = {"name": "o", "globalName": "verdict", "valueFrom": {"supplied": {}}}
    ask = {
        "name": "ask",
        "inputs": {"parameters": [{"name": "o", "default": "yes", "enum": ["yes", "no"]}]},
        "suspend": {},
        "outputs": {"parameters": [asked]},
    }
    run = Simulation(workflow(ask))
    run.look()
    [output] = run.node("wf")["outputs"]["parameters"]
    assert output == {**asked, "valueFrom": {"supplied": {}, "default": "yes"}}
    assert run.node("wf")["inputs"]["parameters"][0]["enum"] == ["yes", "no"]


def test_nothing_new_starts_after_a_stop() -> None:
    steps = [[{"name": "a", "template": "work"}, {"name": "b", "template": "work"}]]
    main = {"name": "main", "steps": steps, "parallelism": 1}
    run = Simulation(workflow(main, WORK))
    run.look()
    run.object["spec"]["shutdown"] = "Stop"
    run.look()
    assert run.node("b")["message"] == "workflow shutdown with strategy: Stop"
    assert (run.status["phase"], len(run.started)) == ("Failed", 1)


async def test_requests_that_make_no_sense(api: KubernetesClient) -> None:
    await api.create(TEMPLATES, template("a"))
    everywhere = api.path(TEMPLATES, everywhere=True)
    assert (await api.call("POST", everywhere, template("b"))).code == 400
    assert (await api.text("GET", f"{everywhere}/a"))[0] == 404
    assert (await api.call("POST", api.path(TEMPLATES, "a"), template("a"))).code == 405
    assert (await api.patch(TEMPLATES, "a", [])).code == 400
    assert (await api.patch(TEMPLATES, "a", {"metadata": None})).code == 400
    assert (await api.call("POST", api.path(TEMPLATES), [])).code == 400
    for query in ({"limit": "x"}, {"resourceVersionMatch": "Maybe"}):
        assert (await api.list(TEMPLATES, **query)).code == 400


def test_a_database_of_another_format(tmp_path: Path) -> None:
    Store(tmp_path, max_changes=1, max_bytes=1).close()
    connection = sqlite3.connect(tmp_path / "engine.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataFolderError, match="its format is 99, this engine knows 1"):
        Store(tmp_path, max_changes=1, max_bytes=1)
