"""Steps templates, suspension, shutdown and the rest of a walk, without processes."""

from typing import Any

import pytest

from engine.tests.simulation import Simulation
from engine.tests.workflows import arguments, output, workflow
from sluice_engine.steps.orders import StepOrder, StepResult

WORK = {"name": "work", "container": {"image": "x", "command": ["true"]}}
SAY = {
    "name": "say",
    "inputs": {"parameters": [{"name": "m", "default": "nothing"}]},
    "container": {"image": "x", "command": ["echo", "{{inputs.parameters.m}}"]},
}


def steps(*groups: Any, name: str = "main", **fields: Any) -> Any:
    return {"name": name, "steps": [list(group) for group in groups], **fields}


def step(name: str, **fields: Any) -> Any:
    return {"name": name, "template": "work", **fields}


def simulate(*templates: Any, **spec: Any) -> Simulation:
    simulation = Simulation(workflow(*templates, **spec))
    simulation.look()
    return simulation


def say(order: StepOrder) -> StepResult:
    return StepResult("Succeeded", "", {"result": order.command[-1], "exitCode": "0"})


def test_groups_run_one_after_the_other() -> None:
    run = simulate(steps([step("a"), step("b")], [step("c")]), WORK)
    assert run.running == {"a", "b"}
    run.end("b")
    assert run.running == {"a"}
    run.end("a")
    assert run.running == {"c"}
    run.end("c")
    assert run.status["phase"] == "Succeeded"
    assert run.node("[0]")["type"] == "StepGroup"
    names = {n["name"] for n in run.status["nodes"].values()}
    assert names == {"wf", "wf[0]", "wf[1]", "wf[0].a", "wf[0].b", "wf[1].c"}
    assert run.node("a")["children"] == [run.node("[1]")["id"]]


def test_a_bad_step_ends_the_steps_after_its_group() -> None:
    run = simulate(steps([step("a"), step("b")], [step("c")]), WORK)
    run.fail("a")
    assert run.status["phase"] == "Running"
    run.end("b")
    assert run.status["phase"] == "Failed"
    assert run.status["message"] == f"child '{run.node('a')['id']}' failed"
    assert "c" not in run.phases()


def test_continue_on_goes_on() -> None:
    run = simulate(steps([step("a", continueOn={"failed": True})], [step("c")]), WORK)
    run.fail("a")
    assert run.running == {"c"}


def test_outputs_of_groups_before() -> None:
    main = steps(
        [step("a", template="say", arguments=arguments(m="1"))],
        [step("fan", template="say", arguments=arguments(m="{{item}}"), withItems=[3, {"x": 4}])],
        [
            step(
                "end",
                template="say",
                arguments=arguments(m="{{steps.a.outputs.result}} {{steps.fan.outputs.result}}"),
            )
        ],
    )
    run = Simulation(workflow(main, SAY))
    run.run(say)
    assert run.started[-1].command[-1] == '1 [3,{"x":4}]'


def test_a_step_sees_only_what_is_before_it() -> None:
    main = steps(
        [step("a", template="say"), step("b", template="say")],
    )
    main["steps"][0][1]["arguments"] = arguments(m="{{steps.a.outputs.result}}")
    run = simulate(main, SAY)
    assert run.status["phase"] == "Failed"
    assert "failed to resolve {{steps.a.outputs.result}}" in run.status["message"]


WITH_DEFAULT = {"name": "q", "valueFrom": {"path": "/q", "default": "its default"}}
GIVE = WORK | {"name": "give", "outputs": {"parameters": [output("p", "/p"), WITH_DEFAULT]}}


@pytest.mark.parametrize("left_out", [{"when": "false"}, {"withParam": "[]"}])
@pytest.mark.parametrize(("name", "value"), [("p", "nothing"), ("q", "its default")])
def test_an_argument_from_a_skipped_step_is_a_default(left_out: Any, name: str, value: str) -> None:
    given = arguments(m=f"{{{{steps.a.outputs.parameters.{name}}}}}")
    main = steps(
        [step("a", template="give", **left_out)],
        [step("b", template="say", arguments=given)],
    )
    run = Simulation(workflow(main, SAY, GIVE))
    run.run(say)
    assert run.node("a")["phase"] == "Skipped"
    assert run.started[-1].command[-1] == value


def test_an_argument_from_a_skipped_step_that_has_no_default() -> None:
    needs = WORK | {"name": "needs", "inputs": {"parameters": [{"name": "m"}]}}
    given = arguments(m="{{steps.a.outputs.parameters.p}}")
    main = steps(
        [step("a", template="give", when="false")],
        [step("b", template="needs", arguments=given)],
    )
    run = simulate(main, needs, GIVE)
    assert run.status["phase"] == "Failed"
    assert "inputs.parameters.m: argument references an absent optional" in run.status["message"]


def test_a_skipped_step_has_no_result() -> None:
    main = steps(
        [step("a", template="say", when="false")],
        [step("b", template="say", arguments=arguments(m="{{steps.a.outputs.result}}"))],
    )
    run = simulate(main, SAY)
    assert run.status["phase"] == "Failed"
    assert "failed to resolve {{steps.a.outputs.result}}" in run.status["message"]


def test_an_empty_fan_is_skipped() -> None:
    run = simulate(steps([step("fan", withParam="[]")], [step("after")]), WORK)
    assert run.node("fan")["message"] == "Skipped, empty params"
    assert run.node("fan")["children"] == [run.node("[1]")["id"]]
    assert run.running == {"after"}


def test_each_of_a_fan_that_is_not_wanted_is_skipped() -> None:
    run = simulate(steps([step("fan", withItems=[1, 2], when="1 == 2")], [step("after")]), WORK)
    fan = {name: phase for name, phase in run.phases().items() if name.startswith("fan")}
    assert fan == {"fan(0:1)": "Skipped", "fan(1:2)": "Skipped"}
    assert run.running == {"after"}


def test_a_fan_that_is_not_wanted_does_not_ask_for_its_items() -> None:
    first = step("a", template="say", when="false")
    fan = step("fan", withParam="{{steps.a.outputs.result}}", when="'x' == 'y'")
    run = simulate(steps([first], [fan], [step("after")]), WORK, SAY)
    assert run.node("fan")["message"] == "Skipped, empty params"
    assert run.running == {"after"}


def test_a_result_is_captured_only_if_somebody_wants_it() -> None:
    main = steps(
        [step("a", template="say"), step("b", template="say")],
        [step("c", template="say", arguments=arguments(m="{{steps.b.outputs.result}}"))],
    )
    run = Simulation(workflow(main, SAY))
    run.run(say)
    assert [order.capture_result for order in run.started] == [False, True, False]


def test_nested_templates() -> None:
    inner = steps([step("leaf", template="say", arguments=arguments(m="{{inputs.parameters.x}}"))])
    inner |= {"name": "inner", "inputs": {"parameters": [{"name": "x"}]}}
    outer = steps([step("in", template="inner", arguments=arguments(x="deep"))])
    run = Simulation(workflow(outer, inner, SAY))
    run.run(say)
    assert run.started[-1].command[-1] == "deep"
    assert run.node("leaf")["name"] == "wf[0].in[0].leaf"
    assert run.node("leaf")["boundaryID"] == run.node("in")["id"]


def test_recursion_has_an_end() -> None:
    run = simulate(steps([step("again", template="main")]))
    assert run.status["phase"] == "Failed"


def test_suspend_waits_for_a_person() -> None:
    run = simulate(steps([step("ask", template="ask")]), {"name": "ask", "suspend": {}})
    assert (run.node("ask")["type"], run.node("ask")["phase"]) == ("Suspend", "Running")
    assert run.outcome.wake_at is None
    run.node("ask").update(phase="Succeeded", finishedAt="2026-01-01T00:00:01Z")
    run.look()
    assert run.status["phase"] == "Succeeded"


def test_suspend_with_a_duration() -> None:
    run = simulate({"name": "ask", "suspend": {"duration": "1m"}})
    assert run.outcome.wake_at is not None
    run.advance(seconds=61)
    assert run.status["phase"] == "Succeeded"


def test_a_suspended_workflow_starts_nothing() -> None:
    run = Simulation(workflow(steps([step("a")], [step("b")]), WORK, suspend=True))
    run.look()
    assert run.status["phase"] == "Running"
    assert not run.started
    del run.object["spec"]["suspend"]
    run.look()
    assert run.running == {"a"}
    run.object["spec"]["suspend"] = True
    run.end("a")
    assert run.node("a")["phase"] == "Succeeded"
    assert not run.running
    run.object["spec"]["suspend"] = None
    run.look()
    assert run.running == {"b"}


@pytest.mark.parametrize(("strategy", "handled"), [("Stop", True), ("Terminate", False)])
def test_shutdown(strategy: str, *, handled: bool) -> None:
    main = steps([step("a"), step("ask", template="ask")], [step("b")])
    run = simulate(main, WORK, {"name": "ask", "suspend": {}}, onExit="work")
    run.object["spec"]["shutdown"] = strategy
    run.look()
    assert run.node("a")["message"] == f"workflow shutdown with strategy:  {strategy}"
    assert run.node("ask")["message"] == f"Stopped with strategy '{strategy}'"
    assert run.running == ({"wf.onExit"} if handled else set())
    if handled:
        run.end("wf.onExit")
    assert run.status["phase"] == "Failed"
    assert run.status["message"] == f"Stopped with strategy '{strategy}'"
    assert "b" not in run.phases()


def test_the_exit_handler_knows_how_it_went() -> None:
    handler = {
        "name": "handler",
        "container": {"image": "x", "command": ["x", "{{workflow.status}} {{workflow.failures}}"]},
    }
    run = simulate(steps([step("a")]), WORK, handler, onExit="handler")
    run.fail("a")
    assert run.status["phase"] == "Running"
    said = run.started[-1].command[1]
    assert said.startswith('Failed "[{\\"displayName\\":')
    run.end("wf.onExit")
    assert run.status["phase"] == "Failed"


def test_the_exit_handler_of_a_success_gets_null() -> None:
    handler = {"name": "handler", "container": {"command": ["x", "{{workflow.failures}}"]}}
    run = simulate(steps([step("a")]), WORK, handler, onExit="handler")
    run.end("a")
    assert run.started[-1].command[1] == '"null"'


def test_a_bad_exit_handler_spoils_a_good_workflow() -> None:
    run = simulate(steps([step("a")]), WORK, onExit="work")
    run.end("a")
    run.fail("wf.onExit")
    assert (run.status["phase"], run.status["message"]) == ("Failed", "main: Error (exit code 1)")


def test_the_deadline_of_the_workflow() -> None:
    run = simulate(steps([step("a")], [step("b")]), WORK, activeDeadlineSeconds=60)
    assert run.outcome.wake_at is not None
    run.advance(seconds=60)
    assert run.node("a")["message"] == "Step exceeded its deadline"
    assert run.status["phase"] == "Failed"
    assert not run.live


def test_parallelism_of_the_workflow() -> None:
    run = simulate(steps([step("a"), step("b"), step("c")]), WORK, parallelism=2)
    assert run.running == {"a", "b"}
    run.end("b")
    assert run.running == {"a", "c"}


def test_steps_wait_for_slots_as_pending() -> None:
    run = Simulation(workflow(steps([step("a"), step("b")]), WORK), slots=1)
    assert run.look().starved
    assert (run.node("a")["phase"], run.node("b")["phase"]) == ("Running", "Pending")
    run.end("a")
    assert run.node("b")["phase"] == "Running"


def test_steps_that_were_lost_are_started_again() -> None:
    run = simulate(steps([step("a")]), WORK)
    run.live.clear()
    run.look()
    assert [order.node_id for order in run.started] == [run.node("a")["id"]] * 2


def test_retry_of_a_finished_workflow_by_a_client() -> None:
    run = simulate(steps([step("a"), step("b")]), WORK)
    run.end("a")
    run.fail("b")
    assert run.status["phase"] == "Failed"
    status, bad = run.status, run.node("b")["id"]
    status |= {"phase": "Running", "finishedAt": None, "message": ""}
    del run.object["metadata"]["labels"]["workflows.argoproj.io/completed"]
    del status["nodes"][bad]
    for node in status["nodes"].values():
        node["children"] = [child for child in node.get("children", []) if child != bad]
        if node["type"] in {"Steps", "StepGroup"}:
            node |= {"phase": "Running", "finishedAt": None}
    run.look()
    assert run.running == {"b"}
    run.end("b")
    assert run.status["phase"] == "Succeeded"
    assert len(run.started) == 3
