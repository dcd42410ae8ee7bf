"""What is accepted, ignored and refused, and where templates come from."""

import re
from pathlib import Path
from typing import Any

import pytest

from engine.tests.simulation import Simulation
from engine.tests.workflows import arguments, workflow
from sluice_engine.controller.supported import IGNORED_IN

WORK = {"name": "work", "container": {"image": "x", "command": ["true"]}}
TASK = {"name": "t", "template": "work"}
DOCS = Path(__file__).parents[2] / "docs" / "local-engine.md"


def look(body: Any, **known: Any) -> Any:
    simulation = Simulation(body, templates=known)
    simulation.look()
    return simulation.status


@pytest.mark.parametrize(
    ("templates", "path"),
    [
        ([WORK, WORK | {"http": {"url": "x"}}], "spec.templates[1].http"),
        ([{"name": "a", "resource": {}}], "spec.templates[0].resource"),
        ([{"name": "a", "containerSet": {}}], "spec.templates[0].containerSet"),
        ([WORK | {"daemon": True}], "spec.templates[0].daemon"),
        ([WORK | {"synchronization": {}}], "spec.templates[0].synchronization"),
        ([WORK | {"sidecars": [{}]}], "spec.templates[0].sidecars"),
        ([WORK | {"memoize": {"key": "x"}}], "spec.templates[0].memoize"),
        ([WORK | {"timeout": "1s"}], "spec.templates[0].timeout"),
        (
            [WORK | {"container": {"command": ["x"], "envFrom": [{}]}}],
            "spec.templates[0].container.envFrom",
        ),
        (
            [WORK | {"container": {"command": ["x"], "env": [{"name": "a", "valueFrom": {}}]}}],
            "spec.templates[0].container.env[0].valueFrom",
        ),
        (
            [{"name": "a", "steps": [[{"name": "s", "template": "a", "hooks": {}}]]}],
            "spec.templates[0].steps[0][0].hooks",
        ),
        (
            [{"name": "a", "dag": {"tasks": [{"name": "t", "inline": {}}]}}],
            "spec.templates[0].dag.tasks[0].inline",
        ),
        (
            [WORK | {"outputs": {"parameters": [{"name": "o", "valueFrom": {"jqFilter": "."}}]}}],
            "spec.templates[0].outputs.parameters[0].valueFrom.jqFilter",
        ),
        (
            [WORK | {"inputs": {"artifacts": [{"name": "a", "git": {}}]}}],
            "spec.templates[0].inputs.artifacts[0].git",
        ),
        (
            [WORK | {"inputs": {"artifacts": [{"name": "a", "s3": {"bucket": "b"}}]}}],
            "spec.templates[0].inputs.artifacts[0].s3.bucket",
        ),
        (
            [WORK | {"retryStrategy": {"expression": "true"}}],
            "spec.templates[0].retryStrategy.expression",
        ),
    ],
)
def test_an_unsupported_field_of_a_template_is_named(templates: Any, path: str) -> None:
    status = look(workflow(*templates))
    assert status["phase"] == "Error"
    assert status["message"] == f"{path} is not supported by the local engine"


@pytest.mark.parametrize(
    "field", ["hooks", "synchronization", "volumeClaimTemplates", "podSpecPatch", "metrics"]
)
def test_an_unsupported_field_of_a_spec_is_named(field: str) -> None:
    body = workflow(WORK)
    body["spec"][field] = {}
    status = look(body)
    assert status["message"] == f"spec.{field} is not supported by the local engine"


def test_expressions_are_not_supported() -> None:
    template = {"name": "a", "container": {"command": ["x", "{{=1+1}}"]}}
    status = look(workflow(template))
    assert status["phase"] == "Error"
    assert "{{=expression}} in spec.templates is not supported" in status["message"]


def test_settings_of_pods_are_ignored() -> None:
    def ignored(where: str) -> Any:
        return {field: {"x": 1} for field in IGNORED_IN[where]}

    container = {"command": ["true"], **ignored("container and script")}
    template = {"name": "a", "container": container, **ignored("spec.templates[]")}
    assert look(workflow(template, **ignored("spec")))["phase"] == "Running"


def test_the_documentation_lists_what_is_ignored() -> None:
    rows = re.findall(r"^\| `?([^|`]+)`? \| (`[^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    documented = {where: set(re.findall(r"`([^`]+)`", fields)) for where, fields in rows}
    assert documented == {where: set(fields) for where, fields in IGNORED_IN.items()}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (workflow(WORK, name="x" * 64), "must not be more than 63 characters"),
        (workflow(), "template name 'main' undefined"),
        (workflow(WORK, entrypoint=""), "spec.entrypoint is required"),
        (workflow(WORK, WORK), "template name 'work' is not unique"),
        (workflow(WORK, onExit="none"), "template name 'none' undefined"),
        (workflow({"name": "a"}), "must have exactly one of"),
        (
            workflow({"name": "a", "steps": [[{"name": "s", "template": "none"}]]}),
            "templates.a.s: template name 'none' undefined",
        ),
        (
            workflow(WORK, {"name": "d", "dag": {"tasks": [TASK, TASK]}}),
            "every step needs a name of its own",
        ),
        (
            workflow(
                WORK,
                {
                    "name": "d",
                    "dag": {"tasks": [{"name": "t", "template": "work", "depends": "t"}]},
                },
            ),
            "in a circle",
        ),
    ],
)
def test_a_spec_that_argo_refuses_fails(body: Any, message: str) -> None:
    status = look(body)
    assert status["phase"] == "Failed"
    assert status["message"].startswith("invalid spec: ")
    assert message in status["message"]


def test_parts_of_the_wrong_shape() -> None:
    assert look(workflow(WORK, templates={}))["message"] == "spec.templates must be a list"
    status = look(workflow(WORK, templates=["x"]))
    assert status["message"] == "spec.templates[0] must be an object"


def test_a_parameter_without_a_value() -> None:
    status = look(workflow(WORK, arguments={"parameters": [{"name": "p"}]}))
    assert (status["phase"], status["message"]) == (
        "Failed",
        "invalid spec: spec.arguments.p.value or spec.arguments.p.valueFrom is required",
    )


def test_an_enum_is_a_limit() -> None:
    parameter = {"name": "p", "value": "c", "enum": ["a", "b"]}
    status = look(workflow(WORK, arguments={"parameters": [parameter]}))
    assert status["message"] == (
        "invalid spec: spec.arguments.p.value should be present in spec.arguments.p.enum list"
    )


def test_an_enum_of_an_input_does_not_limit_values() -> None:
    inputs = {"parameters": [{"name": "p", "enum": ["a"], "default": "c"}]}
    run = Simulation(workflow(WORK | {"inputs": inputs}))
    run.look()
    assert run.running == {"wf"}
    assert run.node("wf")["inputs"]["parameters"] == [
        {"name": "p", "enum": ["a"], "default": "c", "value": "c"}
    ]


def test_template_defaults() -> None:
    run = Simulation(workflow(WORK, templateDefaults={"retryStrategy": {"limit": 1}}))
    run.look()
    assert run.node("wf")["type"] == "Retry"


def test_a_workflow_from_a_template() -> None:
    say = {
        "name": "say",
        "inputs": {"parameters": [{"name": "m"}]},
        "container": {
            "command": ["echo", "{{inputs.parameters.m}}", "{{workflow.parameters.n}}"],
        },
    }
    stored = {
        "entrypoint": "say",
        "templates": [say],
        "arguments": arguments(m="from the template", n="default"),
    }
    body = workflow(workflowTemplateRef={"name": "stored"}, parameters={"m": "own"})
    del body["spec"]["templates"], body["spec"]["entrypoint"]
    run = Simulation(body, templates={"stored": stored})
    run.look()
    assert run.started[0].command == ("echo", "own", "default")
    assert run.status["storedWorkflowTemplateSpec"]["entrypoint"] == "say"
    # What is changed or removed afterwards changes nothing for this run.
    run.live.clear()
    stored["templates"] = []
    run.look()
    assert len(run.started) == 2
    run.object["spec"]["shutdown"] = "Terminate"
    run.look()
    assert run.status["message"] == "Stopped with strategy 'Terminate'"


def test_a_template_that_is_elsewhere() -> None:
    inner = {"name": "inner", "container": {"command": ["echo", "inner"]}}
    outer = {"name": "outer", "steps": [[{"name": "s", "template": "inner"}]]}
    reference = {"name": "lib", "template": "outer"}
    main = {"name": "main", "dag": {"tasks": [{"name": "t", "templateRef": reference}]}}
    run = Simulation(workflow(main), templates={"lib": {"templates": [inner, outer]}})
    run.look()
    assert run.started[0].command == ("echo", "inner")
    assert set(run.status["storedTemplates"]) == {"namespaced/lib/inner", "namespaced/lib/outer"}


def test_a_template_that_is_nowhere() -> None:
    body = workflow(workflowTemplateRef={"name": "none"})
    assert look(body)["message"] == 'workflow template "none" not found'
    reference = {"name": "lib", "template": "x"}
    main = {"name": "main", "dag": {"tasks": [{"name": "t", "templateRef": reference}]}}
    run = Simulation(workflow(main))
    run.look()
    assert run.status["phase"] == "Error"
    message = "task 'wf.t' errored: workflow template \"lib\" not found"
    assert run.node("t")["message"] == message


def test_a_template_elsewhere_may_hold_these_fields() -> None:
    reference = {"name": "lib", "template": "x"}
    main = {"name": "main", "dag": {"tasks": [{"name": "t", "templateRef": reference}]}}
    run = Simulation(workflow(main), templates={"lib": {"templates": [{"name": "x", "http": {}}]}})
    run.look()
    assert "http is not supported" in run.node("t")["message"]


def test_variables_of_the_workflow() -> None:
    said = (
        "{{workflow.name}} {{workflow.namespace}} {{workflow.uid}} {{workflow.creationTimestamp}} "
        "{{workflow.labels.app}} {{workflow.annotations.sluice.dev/run-id}} {{node.name}} "
        "{{pod.name}} {{workflow.mainEntrypoint}} {{workflow.creationTimestamp.Y}}"
    )
    body = workflow({"name": "a", "container": {"command": ["echo", said]}})
    body["metadata"] |= {"labels": {"app": "x"}, "annotations": {"sluice.dev/run-id": "{{no}}"}}
    run = Simulation(body)
    run.look()
    assert run.started[0].command[1] == ("wf argo uid-1 2026-01-01T00:00:00Z x {{no}} wf wf a 2026")
