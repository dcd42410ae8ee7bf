"""Couler's quirks, as Couler itself produces them, and the normalised result."""

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from sluice_workflows.compiler import compile_entry
from sluice_workflows.entries import Couler
from sluice_workflows.normalise import normalise
from sluice_workflows.outputs import artifact, output_parameter
from tests.unit.workflows.support import SETTINGS, entry_of


def compiled(build: Callable[[Couler], object]) -> dict[str, Any]:
    """Return the spec that the whole compiler makes of the calls of `build`."""

    def builder(couler: Couler, _: object) -> tuple[()]:
        build(couler)
        return ()

    manifest = json.loads(compile_entry(entry_of(builder), settings=SETTINGS).manifest)
    spec: dict[str, Any] = manifest["spec"]
    return spec


def template(spec: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (template for template in spec["templates"] if template["name"] == name)
    assert isinstance(found, dict)
    return found


def test_no_quirk_of_couler_remains() -> None:
    def build(couler: Couler) -> None:
        couler.config_workflow(time_to_clean=5, service_account="theirs", timeout=60)
        for name in ("a", "b"):
            couler.run_container(
                image="i",
                command="c",
                args=[1, True, 2.5, "text"],
                env={"FLAG": True},
                step_name=name,
                output=output_parameter(couler, "o", path="/sluice/out/o"),
            )

    spec = compiled(build)

    shown = json.dumps(spec)
    for quirk in ("couler", "para-", '\\"{{', "'", "affinity", "ttlSecondsAfterFinished", "theirs"):
        assert quirk not in shown
    assert spec["activeDeadlineSeconds"] == 60
    assert spec["templates"][0] == {
        "name": "main",
        "steps": [[{"name": name, "template": name}] for name in ("a", "b")],
    }
    b = template(spec, "b")
    assert "inputs" not in b
    assert b["container"]["args"] == ["1", "true", "2.5", "text"]
    assert b["container"]["env"] == [{"name": "FLAG", "value": "true"}]
    assert b["container"]["volumeMounts"][0] == {"name": "outputs-0", "mountPath": "/sluice/out"}


def test_steps_lose_their_line_numbers_and_references_follow() -> None:
    def build(couler: Couler) -> None:
        def greet() -> Any:
            return couler.run_script(image="i", command="sh", source="date", step_name="greet")

        def use(output: Any) -> Any:
            return couler.run_container(image="i", command="c", args=output, step_name="use")

        first = greet()
        greet()
        use(first)

    spec = compiled(build)

    assert [[step["name"] for step in group] for group in spec["templates"][0]["steps"]] == [
        ["greet"],
        ["greet-2"],
        ["use"],
    ]
    assert spec["templates"][0]["steps"][2][0]["arguments"] == {
        "parameters": [{"name": "arg-0", "value": "{{steps.greet.outputs.result}}"}]
    }


def test_concurrent_steps_and_conditions() -> None:
    def build(couler: Couler) -> None:
        def flip() -> Any:
            return couler.run_script(image="i", command="sh", source="flip", step_name="flip")

        def one(name: str) -> Any:
            return couler.run_container(image="i", command="c", step_name=name)

        couler.concurrent([lambda: one("left"), lambda: one("right")])
        couler.when(couler.equal(flip(), "heads"), lambda: one("heads"))

    groups = compiled(build)["templates"][0]["steps"]

    assert [[step["name"] for step in group] for group in groups] == [
        ["left", "right"],
        ["flip"],
        ["heads"],
    ]
    assert groups[2][0]["when"] == "{{steps.flip.outputs.result}} == heads"


def test_a_map_over_items_keeps_its_items() -> None:
    def build(couler: Couler) -> None:
        couler.map(
            lambda item: couler.run_container(
                image="i", command="c", args=[item], step_name="each"
            ),
            [1, 2],
        )

    ((step,),) = compiled(build)["templates"][0]["steps"]

    ((name, first),) = step["withItems"][0].items()
    assert first == 1
    assert step["arguments"] == {"parameters": [{"name": "arg-0", "value": f"{{{{item.{name}}}}}"}]}


def diamond(couler: Couler) -> None:
    shared = ["x"]

    def job(name: str) -> Any:
        return couler.run_container(
            image="i",
            command="c",
            args=shared,
            step_name=name,
            output=output_parameter(couler, "o", path="/sluice/out/o"),
        )

    couler.set_dependencies(lambda: job("a"))
    couler.set_dependencies(lambda: job("b"), dependencies=["a"])
    couler.set_dependencies(lambda: job("c"), dependencies=["a"])
    couler.set_dependencies(lambda: job("d"), dependencies=["b", "c"])


def test_accumulated_arguments_are_reduced() -> None:
    spec = compiled(diamond)

    tasks = {task["name"]: task for task in spec["templates"][0]["dag"]["tasks"]}
    expected = {
        "a": [],
        "b": ["{{tasks.a.outputs.parameters.o}}"],
        "c": ["{{tasks.a.outputs.parameters.o}}"],
        "d": [
            "{{tasks.a.outputs.parameters.o}}",
            "{{tasks.b.outputs.parameters.o}}",
            "{{tasks.c.outputs.parameters.o}}",
        ],
    }
    for name, values in expected.items():
        arguments = [{"name": f"arg-{i}", "value": value} for i, value in enumerate(values)]
        inputs = [{"name": f"arg-{i}"} for i in range(len(values))]
        body = template(spec, name)
        assert tasks[name].get("arguments", {}).get("parameters", []) == arguments
        assert body.get("inputs", {}).get("parameters", []) == inputs
        assert body["container"]["args"] == [
            "x",
            *(f"{{{{inputs.parameters.arg-{i}}}}}" for i in range(len(values))),
        ]


def test_dependencies_become_depends() -> None:
    def build(couler: Couler) -> None:
        def job(name: str) -> Any:
            return couler.run_container(image="i", command="c", step_name=name)

        couler.dag(
            [
                [lambda: job("a"), lambda: job("b")],
                [lambda: job("a"), lambda: job("c")],
                [lambda: job("b"), lambda: job("d")],
                [lambda: job("c"), lambda: job("d")],
                [lambda: job("c"), lambda: job("d")],
            ]
        )
        couler.set_dependencies(lambda: job("e"), dependencies="d.Succeeded || d.Failed")

    tasks = compiled(build)["templates"][0]["dag"]["tasks"]

    assert {task["name"]: task.get("depends") for task in tasks} == {
        "a": None,
        "b": "a",
        "c": "a",
        "d": "b && c",
        "e": "d.Succeeded || d.Failed",
    }
    assert not any("dependencies" in task for task in tasks)


def test_both_kinds_of_dependencies_are_merged() -> None:
    spec = normalise(
        {
            "spec": {
                "templates": [
                    {
                        "name": "main",
                        "dag": {
                            "tasks": [
                                {
                                    "name": "x",
                                    "template": "x",
                                    "dependencies": [["a"], "b", "a"],
                                    "depends": "c || d",
                                }
                            ]
                        },
                    }
                ]
            }
        }
    )

    assert spec["templates"][0]["dag"]["tasks"][0]["depends"] == "a && b && (c || d)"


def test_artifacts_keep_their_names() -> None:
    def build(couler: Couler) -> None:
        written = couler.run_container(
            image="i",
            command="c",
            step_name="write",
            output=artifact(couler, "message", path="/sluice/out/message"),
        )
        couler.run_container(
            image="i",
            command="c",
            step_name="read",
            args=[*written, "constant", "{{workflow.name}}"],
            input=[artifact(couler, "message", path="/sluice/in/message", key="some/key")],
        )

    spec = compiled(build)

    assert spec["templates"][0]["steps"][1][0]["arguments"] == {
        "artifacts": [{"name": "message", "from": "{{steps.write.outputs.artifacts.message}}"}],
        "parameters": [{"name": "arg-0", "value": "{{workflow.name}}"}],
    }
    read = template(spec, "read")
    assert read["inputs"] == {
        "artifacts": [{"name": "message", "path": "/sluice/in/message", "s3": {"key": "some/key"}}],
        "parameters": [{"name": "arg-0"}],
    }
    assert read["container"]["args"] == ["constant", "{{inputs.parameters.arg-0}}"]


def test_the_same_builder_compiles_to_the_same_bytes() -> None:
    assert json.dumps(compiled(diamond)) == json.dumps(compiled(diamond))


def test_the_input_is_unchanged() -> None:
    task = OrderedDict(name="x-1", template="x")
    raw = {"spec": {"affinity": {}, "templates": [{"name": "main", "steps": [[task]]}]}}
    before = json.dumps(raw)

    spec = normalise(raw)

    assert json.dumps(raw) == before
    assert spec == {"templates": [{"name": "main", "steps": [[{"name": "x", "template": "x"}]]}]}
    assert type(spec["templates"][0]["steps"][0][0]) is dict


@pytest.mark.parametrize("text", ['say "{{x}}"', "'a'", '"{{x}}" or "{{y}}"', "it's '1'"])
def test_intended_quotes_stay(text: str) -> None:
    raw = {"spec": {"templates": [{"name": "main", "container": {"env": [{"value": text}]}}]}}

    spec = normalise(raw)

    assert spec["templates"][0]["container"]["env"][0]["value"] == text


def test_names_without_line_numbers_stay() -> None:
    step = {"name": "phase-two", "template": "phase"}

    spec = normalise({"spec": {"templates": [{"name": "main", "steps": [[step]]}]}})

    assert spec["templates"][0]["steps"] == [[step]]
