"""The built-in workflows in the form that is sent to the cluster."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.compiler import compile_entry
from sluice_workflows.entries import Entry
from sluice_workflows.errors import InvalidParametersError
from sluice_workflows.skeletons import instantiate
from tests.support.goldens import Golden
from tests.unit.workflows.support import SETTINGS

NASTY = "{{workflow.name}} {{=1+1}} $(id) \"'\n😀"
PARAMETERS: dict[str, dict[str, Any]] = {
    "hello": {"name": "Ada"},
    "artifact-passing": {"message": NASTY},
    "map-reduce": {"workers": 3, "text": "a b a"},
    "diamond": {},
    "approval": {"reason": NASTY},
}


class _BlockDumper(yaml.SafeDumper):
    """Writes programs as YAML blocks, so that they are readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_BlockDumper.add_representer(str, _text)


def manifest_of(entry: Entry) -> dict[str, Any]:
    return instantiate(
        compile_entry(entry, settings=SETTINGS),
        name="run-aaaaaaaaaaaaaaaaaaaaaaaaaa",
        namespace="argo",
        labels={"sluice.dev/workflow": entry.name},
        annotations={"sluice.dev/run-id": "order-4711"},
        finalizers=["sluice.dev/outcome-published"],
        arguments=entry.arguments(PARAMETERS[entry.name]),
    )


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_manifest(entry: Entry, golden: Golden) -> None:
    manifest = manifest_of(entry)

    text: str = yaml.dump(
        manifest, Dumper=_BlockDumper, sort_keys=False, width=100, allow_unicode=True
    )
    golden(f"workflows/{entry.name}.yaml", text)
    assert yaml.safe_load(text) == manifest


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_every_reference_is_one_that_argo_resolves(entry: Entry) -> None:
    spec = manifest_of(entry)["spec"]
    tasks = {task["name"] for task in spec["templates"][0]["dag"]["tasks"]}
    known = re.compile(
        r"workflow\.name|item|workflow\.parameters\.(\w+)|inputs\.parameters\.(arg-\d|index)"
        rf"|tasks\.({'|'.join(tasks)})\.outputs\.(result|parameters\.\w+|artifacts\.\w+)"
    )

    references = re.findall(r"\{\{(.*?)\}\}", "\n".join(strings(spec)))

    assert references
    assert all(known.fullmatch(reference) for reference in references)


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_every_path_of_a_program_is_declared(entry: Entry) -> None:
    """The local engine maps each declared path into the step's folder."""
    for template in manifest_of(entry)["spec"]["templates"][1:]:
        declared = {
            item.get("path") or item["valueFrom"]["path"]
            for place in ("inputs", "outputs")
            for kind in ("parameters", "artifacts")
            for item in template.get(place, {}).get(kind, ())
            if "path" in item or "path" in item.get("valueFrom", {})
        }
        used = {
            variable["value"]
            for variable in template.get("container", {}).get("env", ())
            if variable["value"].startswith("/")
        }
        assert used == declared


def test_all_workflows_are_documented() -> None:
    assert [entry.name for entry in BUILT_IN] == list(PARAMETERS)


@pytest.mark.parametrize(
    ("workflow", "parameters"),
    [
        ("hello", {"name": "x" * 1025}),
        ("artifact-passing", {"message": "x" * (64 * 1024 + 1)}),
        ("map-reduce", {}),
        ("map-reduce", {"text": "x" * (256 * 1024 + 1)}),
        ("map-reduce", {"text": "", "workers": 0}),
        ("map-reduce", {"text": "", "workers": 51}),
        ("diamond", {"number": -1}),
        ("approval", {"reason": "x" * 1025}),
    ],
)
def test_limits(workflow: str, parameters: dict[str, Any]) -> None:
    (entry,) = (entry for entry in BUILT_IN if entry.name == workflow)

    with pytest.raises(InvalidParametersError):
        entry.arguments(parameters)


def test_the_largest_text_is_accepted() -> None:
    (entry,) = (entry for entry in BUILT_IN if entry.name == "map-reduce")

    arguments = entry.arguments({"text": "x" * 256 * 1024, "workers": 50})

    assert len(arguments["text"]) < 342 * 1024
    assert arguments["workers"] == "50"
