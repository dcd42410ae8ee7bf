"""What Argo's controller, as the local engine has it, does with a Workflow after a command."""

from datetime import UTC, timedelta
from typing import Any

import pytest

from engine.tests.simulation import Simulation
from engine.tests.workflows import workflow
from sluice_argo import metadata
from sluice_argo.pod_names import pod_name
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.requests import Command, ResumeCommand, RetryCommand
from sluice_dispatcher.domain.command_patch import plan_change
from sluice_engine.controller.names import pod_name as pod_name_of_the_engine
from sluice_engine.steps.orders import StepOrder, StepResult
from sluice_engine.store.patches import json_patch
from tests.support.dispatcher import Desk

RECORD = IncomingRecord(position=Position("requests", 0, 7), timestamp_ms=0, key=None, value=None)

Shape = tuple[Any, ...]

WORK = {"name": "work", "container": {"image": "any", "command": ["true"]}}


def task(name: str, *, template: str = "work", **more: Any) -> dict[str, Any]:
    return {"name": name, "template": template, **more}


def dag(name: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "dag": {"tasks": list(tasks)}}


DIAMOND = (
    dag(
        "main",
        task("a"),
        task("b", depends="a"),
        task("c", depends="a"),
        task("d", depends="b && c"),
    ),
    WORK,
)
STEPS = (
    {"name": "main", "steps": [[task("a"), task("b")], [task("c")], [task("d"), task("e")]]},
    WORK,
)
FAN = (
    dag("main", task("a"), task("n", depends="a", withItems=["x", "y"]), task("z", depends="n")),
    WORK,
)
NESTED = (
    dag(
        "main",
        task("a"),
        task("inner", template="inner", depends="a"),
        task("rows", template="rows", depends="a"),
        task("z", depends="inner && rows"),
    ),
    dag("inner", task("i1"), task("i2", depends="i1")),
    {"name": "rows", "steps": [[task("r1", withItems=["x", "y"])], [task("r2")]]},
    WORK | {"retryStrategy": {"limit": "2"}},
)


def finished(shape: Shape) -> Simulation:
    run = Simulation(workflow(*shape))
    run.run()
    assert run.status["phase"] == "Succeeded"
    return run


def apply(run: Simulation, command: Command) -> tuple[str, ...]:
    """Apply a command a while later, as if the outcome were published; return the pods deleted."""
    run.now += timedelta(hours=1)
    meta = run.object["metadata"]
    meta["resourceVersion"] = "5"
    mark = f"1/{run.status['phase']}@{run.status.get('finishedAt')}"
    meta.setdefault("annotations", {})[metadata.PUBLISHED] = mark
    change = plan_change(run.object, command, record=RECORD, now=run.now.astimezone(UTC))
    run.object = json_patch(run.object, change.patch)
    return change.obsolete_pods


@pytest.mark.parametrize(
    ("shape", "step", "again"),
    [
        (DIAMOND, "a", ["a", "b", "c", "d"]),
        (DIAMOND, "b", ["b", "d"]),
        (DIAMOND, "d", ["d"]),
        (STEPS, "a", ["a", "c", "d", "e"]),
        (STEPS, "c", ["c", "d", "e"]),
        (STEPS, "e", ["e"]),
        (FAN, "n(0:x)", ["n(0:x)", "z"]),
        (FAN, "n", ["n(0:x)", "n(1:y)", "z"]),
        (FAN, "a", ["a", "n(0:x)", "n(1:y)", "z"]),
        (FAN, "z", ["z"]),
        (NESTED, "i1", ["i1(0)", "i2(0)", "z(0)"]),
        (NESTED, "i2", ["i2(0)", "z(0)"]),
        (NESTED, "i2(0)", ["i2(0)", "z(0)"]),
        (NESTED, "inner", ["i1(0)", "i2(0)", "z(0)"]),
        (NESTED, "r1(1:y)", ["r1(1:y)(0)", "r2(0)", "z(0)"]),
        (NESTED, "r2", ["r2(0)", "z(0)"]),
        (NESTED, "z", ["z(0)"]),
    ],
)
def test_a_step_and_what_follows_it_run_again_and_nothing_else(
    shape: Shape, step: str, again: list[str]
) -> None:
    run = finished(shape)
    names = {node["id"]: node["displayName"] for node in run.status["nodes"].values()}
    before = len(run.started)
    deleted = apply(run, RetryCommand(id="a", step=step))
    run.run()
    assert run.status["phase"] == "Succeeded"
    started = [names[order.node_id] for order in run.started[before:]]
    assert sorted(started) == sorted(again)
    # Its pods are out of the way, and no others.
    assert sorted(deleted) == sorted(
        pod_name_of_the_engine("wf", node["name"], "work")
        for node in run.status["nodes"].values()
        if node["displayName"] in again
    )
    assert {node["phase"] for node in run.status["nodes"].values()} == {"Succeeded"}


@pytest.mark.parametrize("shape", [DIAMOND, STEPS, FAN, NESTED])
def test_everything_runs_again(shape: Shape) -> None:
    run = finished(shape)
    first = [order.node_id for order in run.started]
    deleted = apply(run, RetryCommand(id="a", restart_succeeded=True))
    run.run()
    assert run.status["phase"] == "Succeeded"
    assert sorted(order.node_id for order in run.started[len(first) :]) == sorted(first)
    assert len(deleted) == len(first)


def test_pods_have_the_names_that_the_engine_gives_them() -> None:
    run = finished(NESTED)
    for node in run.status["nodes"].values():
        if node["type"] == "Pod":
            expected = pod_name_of_the_engine("wf", node["name"], node["templateName"])
            assert pod_name(run.object, node) == expected


ASK = {
    "name": "ask",
    "inputs": {"parameters": [{"name": "decision", "default": "yes", "enum": ["yes", "no"]}]},
    "suspend": {},
    "outputs": {"parameters": [{"name": "decision", "valueFrom": {"supplied": {}}}]},
}
ASKING = (
    dag(
        "main",
        task("ask", template="ask"),
        task("go", depends="ask", when="{{tasks.ask.outputs.parameters.decision}} == yes"),
    )
    | {
        "outputs": {
            "parameters": [
                {
                    "name": "decision",
                    "valueFrom": {"parameter": "{{tasks.ask.outputs.parameters.decision}}"},
                }
            ]
        }
    },
    ASK,
    WORK,
)


@pytest.mark.parametrize(
    ("values", "decision", "phase"),
    [({"decision": "no"}, "no", "Skipped"), ({}, "yes", "Succeeded")],
)
def test_an_answer_decides_what_follows(values: dict[str, str], decision: str, phase: str) -> None:
    run = Simulation(workflow(*ASKING))
    run.look()
    apply(run, ResumeCommand(id="a", step="ask", values=values))
    run.run()
    assert run.status["phase"] == "Succeeded"
    assert run.node("go")["phase"] == phase
    outputs = run.status["nodes"]["wf"]["outputs"]["parameters"]
    assert outputs == [{"name": "decision", "value": decision}]


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"decision": "refuse", "comment": "too dear"}, ("refuse", "too dear")),
        ({}, ("approve", "")),
    ],
)
async def test_the_built_in_approval_passes_its_answer_on(
    values: dict[str, str], answer: tuple[str, str]
) -> None:
    desk = Desk()
    await desk.handler.handle(desk.record({"id": "a", "workflow": "approval"}))
    run = Simulation(desk.workflows.object_for_test(workflow_name(RunKey("default", "a"))))

    def reports(order: StepOrder) -> StepResult:
        name = order.output_parameters[0].name
        if name == "message":
            assert order.command[-1] == answer[0]
        return StepResult("Succeeded", "", {"parameters": [{"name": name, "value": "done"}]})

    run.run(reports)
    assert run.node("approve")["phase"] == "Running"
    apply(run, ResumeCommand(id="a", step="approve", values=values))
    run.run(reports)
    assert run.status["phase"] == "Succeeded", run.status
    root = run.status["nodes"][run.object["metadata"]["name"]]
    outputs = {output["name"]: output["value"] for output in root["outputs"]["parameters"]}
    assert outputs == {"message": "done", "decision": answer[0], "comment": answer[1]}


def test_an_answer_is_asked_for_again_when_its_step_runs_again() -> None:
    run = Simulation(workflow(*ASKING))
    run.look()
    apply(run, ResumeCommand(id="a", values={"decision": "no"}))
    run.run()
    apply(run, RetryCommand(id="a", step="ask"))
    run.run()
    assert run.node("ask")["phase"] == "Running"
    apply(run, ResumeCommand(id="a", values={"decision": "yes"}))
    run.run()
    assert run.node("go")["phase"] == "Succeeded"
