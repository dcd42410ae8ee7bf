"""Whatever a request says, its Workflow is the golden skeleton with other values."""

import json
from typing import Any

import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sluice_argo import metadata
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import InvalidRecordError, ReceivedRun, decode_request
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.compiler import compile_entry
from tests.support.goldens import DATA
from tests.unit.workflows.support import SETTINGS

BUILDER = WorkflowBuilder(
    Catalogue(BUILT_IN),
    {entry.name: compile_entry(entry, settings=SETTINGS) for entry in BUILT_IN},
    namespaces=Namespaces("argo"),
)
GOLDEN: dict[str, Manifest] = {
    entry.name: yaml.safe_load((DATA / "workflows" / f"{entry.name}.yaml").read_text("utf-8"))
    for entry in BUILT_IN
}
PARAMETERS = {entry.name: sorted(entry.parameters.model_fields) for entry in BUILT_IN}

HOSTILE = st.sampled_from(
    [
        "{{workflow.name}}",
        "{{=1+1}}",
        "$(id)",
        '"}], "spec": {"hostNetwork": true}, "x": [{"',
        "\n  hostNetwork: true\n---\n",
        "\0",
        "😀",
        "__proto__",
    ]
)
TEXT = st.text(max_size=20) | HOSTILE
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXT, each, max_size=3),
    max_leaves=8,
)
FOREIGN = st.sampled_from(["spec", "metadata", "templates", "serviceAccountName"])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw requests that are valid but for a member, or two, that may be anything."""
    workflow = draw(st.sampled_from([entry.name for entry in BUILT_IN]))
    numbers = {"workers": st.integers(1, 50), "number": st.integers(0, 1_000_000)}
    document: dict[str, Any] = {
        "workflow": workflow,
        "parameters": {name: draw(numbers.get(name, TEXT)) for name in PARAMETERS[workflow]},
    }
    optional = {
        "id": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "tenant": st.sampled_from(["default", "acme"]),
        "labels": st.dictionaries(st.sampled_from(["team", "a.b/c"]), TEXT, max_size=2),
        "priority": st.sampled_from(["high", "normal", "low"]),
        "parent": st.just("order-1"),
        "expires_at": st.just("2999-01-01T00:00:00Z"),
    }
    for name in draw(st.sets(st.sampled_from(sorted(optional)))):
        document[name] = draw(optional[name])
    places = [document, document["parameters"]]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.sampled_from(places))
        place[draw(st.sampled_from(sorted(place)) | FOREIGN | TEXT)] = draw(ANY)
    return document


def without_values(manifest: Manifest) -> tuple[bytes, dict[str, str], Any]:
    """Give the Workflow without what a request may decide, and that: values, and the priority."""
    copied = json.loads(json.dumps(manifest))
    parameters = copied["spec"].get("arguments", {}).get("parameters", [])
    values = {each["name"]: each.pop("value") for each in parameters}
    priority = copied["spec"].pop("priority", None)
    copied["metadata"] = sorted(copied["metadata"])
    return json.dumps(copied, ensure_ascii=False).encode(), values, priority


@settings(deadline=None, max_examples=300)
@given(document=documents(), ascii_only=st.booleans())
def test_any_request_makes_the_golden_skeleton_or_nothing(
    document: dict[str, Any], ascii_only: bool
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    record = IncomingRecord(
        position=Position("requests", 0, 7), timestamp_ms=1, key=None, value=body, headers=()
    )
    try:
        received = decode_request(record)
        assert isinstance(received, ReceivedRun)
        manifest = BUILDER.build(received, record=record)
    except InvalidRecordError:
        event("refused")
        return
    event("created")
    workflow = received.request.workflow
    skeleton, values, priority = without_values(manifest)
    golden, golden_values, _ = without_values(GOLDEN[workflow])
    assert skeleton == golden
    assert list(values) == list(golden_values)
    assert not any("{{" in value for value in values.values())
    assert priority == {"high": 1, "low": -1}.get(received.request.priority)
    assert manifest["metadata"]["namespace"] == "argo"
    assert manifest["metadata"]["labels"] == {
        metadata.MANAGED_BY: metadata.MANAGED_BY_VALUE,
        metadata.TENANT: received.key.tenant,
        metadata.WORKFLOW: workflow,
    }
    assert manifest["metadata"]["finalizers"] == [metadata.FINALIZER]
