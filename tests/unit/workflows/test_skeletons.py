import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.compiler import compile_entry
from sluice_workflows.entries import Entry, TemplateRef
from sluice_workflows.skeletons import Skeleton, instantiate
from tests.unit.workflows.support import SETTINGS, Everything, entry_of

REFERENCE = entry_of(TemplateRef(name="theirs"), parameters=Everything, name="referenced")
COMPILED = [(entry, compile_entry(entry, settings=SETTINGS)) for entry in (*BUILT_IN, REFERENCE)]

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["{{workflow.name}}", "{{=1+1}}", '"', "'", "\n", "$(id)", "\0", "😀", "a: b\n---\n"]
)
MARKS = st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3)


def with_text(entry: Entry, text: str) -> dict[str, str]:
    """Return arguments with the text for each parameter that accepts any text."""
    fields = {"name", "message", "text", "reason"} & set(entry.parameters.model_fields)
    return dict.fromkeys(fields, text[:4])


@settings(deadline=None)
@given(
    compiled=st.sampled_from(COMPILED),
    text=ANY_TEXT,
    name=ANY_TEXT,
    namespace=ANY_TEXT,
    labels=MARKS,
    annotations=MARKS,
    finalizers=st.lists(ANY_TEXT, max_size=2),
)
def test_runs_differ_in_identity_and_values_only(
    compiled: tuple[Entry, Skeleton],
    text: str,
    name: str,
    namespace: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    finalizers: list[str],
) -> None:
    entry, skeleton = compiled
    arguments = entry.arguments(with_text(entry, text))

    manifest = instantiate(
        skeleton,
        name=name,
        namespace=namespace,
        labels=labels,
        annotations=annotations,
        finalizers=finalizers,
        arguments=arguments,
    )

    parameters = manifest["spec"]["arguments"]["parameters"]
    assert {parameter["name"]: parameter.pop("value") for parameter in parameters} == arguments
    assert manifest["metadata"] == {
        "name": name,
        "namespace": namespace,
        "labels": labels,
        "annotations": annotations,
        "finalizers": finalizers,
    }
    manifest["metadata"] = {}
    assert json.dumps(manifest, ensure_ascii=False) == skeleton.manifest


def instantiated(skeleton: Skeleton, arguments: dict[str, str]) -> dict[str, Any]:
    return instantiate(
        skeleton,
        name="run-1",
        namespace="argo",
        labels={},
        annotations={},
        finalizers=[],
        arguments=arguments,
    )


def test_a_changed_manifest_does_not_affect_the_next() -> None:
    _, hello = COMPILED[0]
    first = instantiated(hello, {"name": "QQ=="})
    first["spec"]["templates"].clear()

    assert instantiated(hello, {"name": "QQ=="})["spec"]["templates"]


@pytest.mark.parametrize("arguments", [{}, {"name": "QQ==", "other": "1"}, {"other": "1"}])
def test_arguments_must_be_those_of_the_workflow(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="needs exactly"):
        instantiated(COMPILED[0][1], arguments)


def test_a_template_expression_never_becomes_an_argument() -> None:
    with pytest.raises(ValueError, match="contains"):
        instantiated(COMPILED[0][1], {"name": "{{workflow.name}}"})
