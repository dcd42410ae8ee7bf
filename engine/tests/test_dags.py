"""DAG templates, without processes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tests.simulation import Simulation
from engine.tests.workflows import arguments, workflow
from sluice_engine.steps.orders import StepOrder, StepResult

WORK = {"name": "work", "container": {"image": "x", "command": ["true"]}}
ECHO = {
    "name": "echo",
    "inputs": {"parameters": [{"name": "m"}]},
    "container": {"image": "x", "command": ["echo", "{{inputs.parameters.m}}"]},
    "outputs": {"parameters": [{"name": "o", "valueFrom": {"path": "/o"}}]},
}


def dag(*tasks: Any, **fields: Any) -> Any:
    outputs = fields.pop("outputs", {})
    return {"name": "main", "dag": {"tasks": list(tasks), **fields}, "outputs": outputs}


def task(name: str, depends: str = "", **fields: Any) -> Any:
    found = {"name": name, "template": fields.pop("template", "work"), **fields}
    return found | ({"depends": depends} if depends else {})


def simulate(*tasks: Any, **fields: Any) -> Simulation:
    simulation = Simulation(workflow(dag(*tasks, **fields), WORK, ECHO))
    simulation.look()
    return simulation


def echo(order: StepOrder) -> StepResult:
    value = order.command[-1]
    outputs = {"parameters": [{"name": "o", "value": value}], "result": value, "exitCode": "0"}
    return StepResult("Succeeded", "", outputs)


def test_a_diamond_runs_in_order() -> None:
    run = simulate(task("a"), task("b", "a"), task("c", "a"), task("d", "b && c"))
    assert run.running == {"a"}
    run.end("a")
    assert run.running == {"b", "c"}
    run.end("c")
    assert run.running == {"b"}
    run.end("b")
    assert run.running == {"d"}
    run.end("d")
    assert (run.status["phase"], run.status["progress"]) == ("Succeeded", "4/4")
    children = {n["displayName"]: n.get("children") for n in run.status["nodes"].values()}
    ids = {n["displayName"]: n["id"] for n in run.status["nodes"].values()}
    assert children == {
        "wf": [ids["a"]],
        "a": [ids["b"], ids["c"]],
        "b": [ids["d"]],
        "c": [ids["d"]],
        "d": None,
    }
    assert run.node("wf")["outboundNodes"] == [ids["d"]]


def test_dependencies_are_the_older_way() -> None:
    run = simulate(task("a"), task("b", dependencies=["a"]))
    run.fail("a")
    assert run.phases() == {"wf": "Failed", "a": "Failed", "b": "Omitted"}
    assert run.node("b")["message"] == "omitted: depends condition not met"


@pytest.mark.parametrize(
    ("depends", "phase", "runs"),
    [
        ("a", "Succeeded", True),
        ("a", "Failed", False),
        ("a", "Error", False),
        ("a.Succeeded", "Succeeded", True),
        ("a.Failed", "Failed", True),
        ("a.Failed", "Error", False),
        ("a.Errored", "Error", True),
        ("a.Failed || a.Errored", "Error", True),
        ("!a.Succeeded", "Failed", True),
        ("!(a.Succeeded || a.Failed)", "Failed", False),
        ("a.Succeeded && !a.Failed", "Succeeded", True),
    ],
)
def test_depends_on_how_it_went(depends: str, phase: str, *, runs: bool) -> None:
    run = simulate(task("a"), task("b", depends))
    run.end("a", StepResult(phase, "", {}))
    assert run.node("b")["phase"] == ("Running" if runs else "Omitted")


def test_the_worst_branch_decides() -> None:
    run = simulate(task("a"), task("b", "a"), task("ok"))
    run.end("ok")
    run.fail("a", "Error")
    assert run.status["phase"] == "Error"


def test_the_others_are_waited_for_before_the_dag_fails() -> None:
    run = simulate(task("bad"), task("slow"))
    run.fail("bad")
    assert run.status["phase"] == "Running"
    run.end("slow")
    assert run.status["phase"] == "Failed"


def test_continue_on_accepts_a_failure() -> None:
    run = simulate(task("a", continueOn={"failed": True}), task("b", "a"))
    run.fail("a")
    assert run.running == {"b"}
    run.end("b")
    assert run.status["phase"] == "Succeeded"


def test_a_false_when_skips_a_task_and_its_dependents_go_on() -> None:
    run = simulate(task("a", when="1 == 2"), task("b", "a"))
    assert run.phases() == {"wf": "Running", "a": "Skipped", "b": "Running"}
    assert run.node("a")["message"] == "when '1 == 2' evaluated false"
    run.end("b")
    assert run.status["phase"] == "Succeeded"


def test_target_names_what_is_wanted() -> None:
    run = simulate(task("a"), task("b", "a"), task("other"), target="b")
    assert run.running == {"a"}
    run.end("a")
    run.end("b")
    assert "other" not in run.phases()
    assert run.status["phase"] == "Succeeded"


def test_a_fan_becomes_a_group_with_collected_outputs() -> None:
    fan = task("fan", template="echo", arguments=arguments(m='"<{{item.k}}>"'))
    fan["withItems"] = [{"k": "x"}, {"k": 2}]
    collect = task("collect", "fan", template="echo")
    collect["arguments"] = arguments(
        m="{{tasks.fan.outputs.parameters.o}} {{tasks.fan.outputs.parameters}} "
        "{{tasks.fan.outputs.result}}"
    )
    run = Simulation(workflow(dag(fan, collect), WORK, ECHO))
    run.run(echo)
    assert run.node("fan")["type"] == "TaskGroup"
    assert {"fan(0:k:x)", "fan(1:k:2)"} <= run.phases().keys()
    assert run.started[-1].command[-1] == (
        r'["\"<x>\"","\"<2>\""] [{"o":"\"<x>\""},{"o":"\"<2>\""}] ["<x>","<2>"]'
    )


def test_results_of_a_fan_have_to_be_json() -> None:
    fan = task("fan", template="echo", arguments=arguments(m="{{item}}"), withItems=["x"])
    collect = task("collect", "fan", template="echo")
    collect["arguments"] = arguments(m="{{tasks.fan.outputs.result}}")
    run = Simulation(workflow(dag(fan, collect), WORK, ECHO))
    run.run(echo)
    assert run.status["phase"] == "Error"
    assert run.node("collect")["message"].startswith("the result of fan(0:x) is not JSON")


def test_collected_json_stays_json() -> None:
    fan = task("fan", template="echo", arguments=arguments(m='{"n":{{item}}}'), withItems=[1, 2])
    collect = task("collect", "fan", template="echo")
    collect["arguments"] = arguments(m="{{tasks.fan.outputs.parameters.o}}")
    run = Simulation(workflow(dag(fan, collect), WORK, ECHO))
    run.run(echo)
    assert run.started[-1].command[-1] == '[{"n":1},{"n":2}]'


def test_with_param_from_a_task_before() -> None:
    list_ = task("list", template="echo", arguments=arguments(m='["x", "y"]'))
    fan = task("fan", "list", template="echo", arguments=arguments(m="{{item}}"))
    fan["withParam"] = "{{tasks.list.outputs.result}}"
    run = Simulation(workflow(dag(list_, fan), WORK, ECHO))
    run.run(echo)
    assert [order.command[-1] for order in run.started[1:]] == ["x", "y"]


def test_an_empty_fan_is_skipped() -> None:
    run = simulate(task("fan", withParam="[]"), task("after", "fan"))
    assert run.phases()["fan"] == "Skipped"
    assert run.running == {"after"}


def test_each_of_a_fan_that_is_not_wanted_is_skipped() -> None:
    run = simulate(task("fan", withParam="[1,2]", when="1 == 2"), task("after", "fan"))
    assert run.phases() == {
        "wf": "Running",
        "fan": "Succeeded",
        "fan(0:1)": "Skipped",
        "fan(1:2)": "Skipped",
        "after": "Running",
    }


def test_one_bad_member_fails_the_group() -> None:
    run = simulate(task("fan", withItems=["x", "y"]), task("after", "fan"))
    run.fail("fan(0:x)")
    assert run.phases()["fan"] == "Running"
    run.end("fan(1:y)")
    assert (run.phases()["fan"], run.phases()["after"]) == ("Failed", "Omitted")


@pytest.mark.parametrize(("result", "runs"), [("AnySucceeded", True), ("AllFailed", False)])
def test_depends_on_a_group(result: str, *, runs: bool) -> None:
    run = simulate(task("fan", withItems=["x", "y"]), task("after", f"fan.{result}"))
    run.fail("fan(0:x)")
    run.end("fan(1:y)")
    assert run.phases()["after"] == ("Running" if runs else "Omitted")


def test_outputs_come_from_tasks() -> None:
    outputs = {
        "parameters": [
            {"name": "found", "valueFrom": {"parameter": "{{tasks.a.outputs.parameters.o}}"}},
            {
                "name": "lost",
                "valueFrom": {"parameter": "{{tasks.b.outputs.parameters.o}}", "default": "none"},
            },
        ]
    }
    skipped = task("b", template="echo", when="x != x", arguments=arguments(m=""))
    first = task("a", template="echo", arguments=arguments(m="1"))
    run = Simulation(workflow(dag(first, skipped, outputs=outputs), ECHO))
    run.run(echo)
    assert run.node("wf")["outputs"]["parameters"] == [
        {"name": "found", "value": "1"},
        {"name": "lost", "value": "none"},
    ]


def test_an_output_that_is_missing_is_an_error() -> None:
    outputs = {
        "parameters": [
            {"name": "o", "valueFrom": {"parameter": "{{tasks.a.outputs.parameters.none}}"}}
        ]
    }
    run = Simulation(workflow(dag(task("a"), outputs=outputs), WORK))
    run.run()
    assert run.status["phase"] == "Error"
    assert "tasks.a.outputs.parameters.none has no value" in run.status["message"]


def test_parallelism_of_a_template() -> None:
    main = dag(*(task(name) for name in "abc")) | {"parallelism": 2}
    run = Simulation(workflow(main, WORK))
    run.look()
    assert run.running == {"a", "b"}
    run.end("a")
    assert run.running == {"b", "c"}
    run.end("b")
    run.end("c")
    assert run.status["phase"] == "Succeeded"


def test_fail_fast_of_a_template_starts_nothing_more() -> None:
    main = dag(*(task(name) for name in "abc")) | {"parallelism": 1, "failFast": True}
    run = Simulation(workflow(main, WORK))
    run.look()
    run.fail("a")
    assert run.status["phase"] == "Failed"
    assert run.phases().keys() == {"wf", "a"}


def test_a_chain_longer_than_the_stack() -> None:
    tasks = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 1200))]
    run = simulate(*tasks)
    assert run.running == {"t0"}


@settings(deadline=None)
@given(st.data())
def test_any_dag_starts_each_task_once_and_after_its_dependencies(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    tasks = []
    for number in range(count):
        before = data.draw(st.sets(st.integers(0, number - 1))) if number else set()
        tasks.append(task(f"t{number}", " && ".join(f"t{n}" for n in sorted(before))))
    run = simulate(*tasks)
    ended: set[str] = set()
    while run.running:
        name = data.draw(st.sampled_from(sorted(run.running)))
        needed = {d for d in tasks[int(name[1:])].get("depends", "").split(" && ") if d}
        assert needed <= ended
        run.end(name)
        ended.add(name)
    assert ended == {t["name"] for t in tasks}
    assert len(run.started) == count
    assert run.status["phase"] == "Succeeded"


def test_a_bad_task_at_the_head_of_a_long_chain() -> None:
    run = simulate(task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 1200)))
    run.fail("t0")
    assert run.status["phase"] == "Failed"
    assert run.phases()["t1199"] == "Omitted"
