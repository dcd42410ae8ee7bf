"""The examples of WorkflowTemplates: catalogue, templates and README match."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import pytest
import yaml

from sluice_contracts.requests import RunRequest, read_request
from sluice_engine.controller.supported import check_supported
from sluice_engine.controller.validate import validate
from sluice_workflows.catalogue import load_catalogue
from sluice_workflows.catalogue_file import read_catalogue_file
from sluice_workflows.checks import check
from sluice_workflows.entries import Entry, TemplateRef
from sluice_workflows.parameters import Kind, encode, kind_of, wire_names

Json = Any

EXAMPLES = Path(__file__).parents[3] / "examples" / "templates"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
REQUESTS = [json.loads(body) for body in re.findall(r"-d '(\{.*?\})'", README, re.DOTALL)]
ENTRIES = read_catalogue_file(EXAMPLES / "catalogue.yaml")

each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def template_of(entry: Entry) -> Json:
    assert isinstance(entry.template, TemplateRef)
    return yaml.safe_load((EXAMPLES / f"{entry.template.name}.yaml").read_bytes())


def spec_of(entry: Entry) -> Json:
    return template_of(entry)["spec"]


def programs(spec: Json) -> Iterator[tuple[Json, Json]]:
    """Yield each template that makes a pod, with its container."""
    for template in spec["templates"]:
        if container := template.get("script") or template.get("container"):
            yield template, container


def calls(template: Json) -> Iterator[tuple[str, Json]]:
    """Yield each step or task of a template, with its keyword in references."""
    for group in template.get("steps", ()):
        yield from (("steps", step) for step in group)
    yield from (("tasks", task) for task in template.get("dag", {}).get("tasks", ()))


def outputs_of(template: Json) -> Iterator[str]:
    for kind, outputs in template.get("outputs", {}).items():
        yield from (f"outputs.{kind}.{output['name']}" for output in outputs)


def tags(value: Json) -> list[str]:
    return re.findall(r"\{\{(.*?)\}\}", json.dumps(value))


# --- the catalogue


def test_the_catalogue_has_every_template() -> None:
    catalogue = load_catalogue(file=EXAMPLES / "catalogue.yaml", entry_points=[])

    assert {entry.name for entry in ENTRIES} <= {entry.name for entry in catalogue}
    files = {file.stem for file in EXAMPLES.glob("*.yaml")} - {"catalogue"}
    assert {template_of(entry)["metadata"]["name"] for entry in ENTRIES} == files


@each_entry
def test_an_entry_and_its_template_have_the_same_parameters(entry: Entry) -> None:
    declared = spec_of(entry)["arguments"]["parameters"]

    assert [parameter["name"] for parameter in declared] == list(wire_names(entry.parameters))


@each_entry
def test_entry_and_template_have_the_same_defaults_and_choices(entry: Entry) -> None:
    declared = {each["name"]: each for each in spec_of(entry)["arguments"]["parameters"]}
    for name, field in wire_names(entry.parameters).items():
        default = None if field.is_required() else encode(kind_of(field), field.default)
        assert declared[name].get("value") == default
        choices = {
            Kind.CHOICE: list(get_args(field.annotation)),
            Kind.BOOLEAN: ["true", "false"],
        }
        assert declared[name].get("enum") == choices.get(kind_of(field))


# --- the templates


@each_entry
def test_a_template_is_valid_and_supported(entry: Entry) -> None:
    template = template_of(entry)
    [request, *_] = [each for each in REQUESTS if each["workflow"] == entry.name]
    values = entry.arguments(request["parameters"])
    given = [{"name": name, "value": value} for name, value in values.items()]

    assert (template["apiVersion"], template["kind"]) == (
        "argoproj.io/v1alpha1",
        "WorkflowTemplate",
    )
    check_supported(template["spec"])
    validate("run-a", {**template["spec"], "arguments": {"parameters": given}})


@each_entry
def test_no_value_becomes_code(entry: Entry) -> None:
    spec, fields = spec_of(entry), wire_names(entry.parameters)
    check(spec, parameters=fields)

    harmless = {Kind.INTEGER, Kind.BOOLEAN, Kind.CHOICE}
    for template in spec["templates"]:
        for _, call in calls(template):
            for tag in tags([call.get("when"), call.get("withParam")]):
                _, _, parameter = tag.rpartition("workflow.parameters.")
                assert parameter not in fields or kind_of(fields[parameter]) in harmless


@each_entry
def test_pods_are_restricted(entry: Entry) -> None:
    spec = spec_of(entry)

    assert spec["serviceAccountName"] == "sluice-executor"
    assert spec["executor"] == {"serviceAccountName": "sluice-executor"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["podGC"] == {"strategy": "OnPodSuccess", "deleteDelayDuration": "30s"}
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for _, container in programs(spec):
        assert container["image"] == "public.ecr.aws/docker/library/python:3.13-slim"
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@each_entry
def test_written_files_are_in_a_volume(entry: Entry) -> None:
    """Everything else is read-only, and the local engine maps only declared paths."""
    spec = spec_of(entry)
    assert spec["volumes"] == [{"name": "out", "emptyDir": {}}]
    for template, container in programs(spec):
        [mount] = container["volumeMounts"]
        assert mount["name"] == "out"
        read = {artifact["path"] for artifact in template.get("inputs", {}).get("artifacts", ())}
        outputs = template["outputs"]
        written = {artifact["path"] for artifact in outputs.get("artifacts", ())}
        written |= {each["valueFrom"]["path"] for each in outputs.get("parameters", ())}
        assert all(PurePosixPath(path).is_relative_to(mount["mountPath"]) for path in written)
        values = {variable["value"] for variable in container["env"]}
        assert {value for value in values if value.startswith("/")} == read | written


@each_entry
def test_every_reference_is_resolved_by_argo(entry: Entry) -> None:
    spec = spec_of(entry)
    by_name = {template["name"]: template for template in spec["templates"]}
    everywhere = {"workflow.name", "workflow.status", "workflow.failures"}
    everywhere |= {f"workflow.parameters.{name}" for name in wire_names(entry.parameters)}
    for template in spec["templates"]:
        inputs = template.get("inputs", {}).get("parameters", ())
        known = everywhere | {f"inputs.parameters.{each['name']}" for each in inputs}
        for word, call in calls(template):
            outputs = outputs_of(by_name[call["template"]])
            known |= {f"{word}.{call['name']}.{output}" for output in outputs}
        found = {tag for tag in tags(template) if not tag.startswith("item.")}
        assert found <= known
    assert tags(spec["arguments"]) == []


# --- the README


def test_documented_requests_fit_the_catalogue() -> None:
    entries = {entry.name: entry for entry in ENTRIES}
    for document in REQUESTS:
        request = read_request(document)
        assert isinstance(request, RunRequest)
        assert entries[request.workflow].arguments(request.parameters)
    assert {document["workflow"] for document in REQUESTS} == set(entries)
    assert len({document["id"] for document in REQUESTS}) == len(REQUESTS)


def test_documented_files_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    files = re.findall(r"examples/templates/[\w.-]+", README)
    assert links
    assert files
    assert all((EXAMPLES / link).is_file() for link in links)
    assert all((EXAMPLES.parents[1] / file).is_file() for file in files)
