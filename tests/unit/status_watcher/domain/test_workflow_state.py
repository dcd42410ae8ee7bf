"""Workflows are parsed the way Argo writes them."""

import base64
import gzip
import json
from datetime import UTC, datetime
from sys import getsizeof
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sluice_argo import metadata
from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_status_watcher.domain import workflow_state
from sluice_status_watcher.domain.steps import step_of
from sluice_status_watcher.domain.workflow_state import (
    ForeignWorkflowError,
    WorkflowState,
    parse_workflow,
)
from tests.unit.status_watcher.manifests import (
    FINISHED,
    STARTED,
    Json,
    name_of,
    node,
    nodes,
    stored,
)

NAME = name_of("order-1")
NOW = datetime(2026, 1, 1, 0, 6, tzinfo=UTC)


def read(document: Json, *, gone: bool = False) -> WorkflowState:
    return parse_workflow(document, observed_at=NOW, gone=gone)


def with_status(**status: Any) -> Json:
    return stored(status=status)


def waiting(phase: str = "Running") -> Json:
    return node("wait", phase=phase, kind="Suspend")


@pytest.mark.parametrize(
    ("document", "phase"),
    [
        (stored(), Phase.SUBMITTED),
        (with_status(phase=["Running"]), Phase.SUBMITTED),
        (with_status(), Phase.SUBMITTED),
        (with_status(phase=""), Phase.SUBMITTED),
        (with_status(phase="Pending"), Phase.PENDING),
        (with_status(phase="Running"), Phase.RUNNING),
        (with_status(phase="Succeeded", finishedAt=FINISHED), Phase.SUCCEEDED),
        (with_status(phase="Failed", finishedAt=FINISHED), Phase.FAILED),
        (with_status(phase="Error", finishedAt=FINISHED), Phase.ERROR),
        (with_status(phase="Daydreaming"), Phase.RUNNING),
        (stored(spec={"suspend": True}), Phase.SUBMITTED),
        (stored(spec={"suspend": True}, status={"phase": "Running"}), Phase.SUSPENDED),
        (stored(spec={"suspend": True}, status={"phase": "Failed"}), Phase.FAILED),
        (with_status(phase="Running", nodes=nodes(waiting())), Phase.SUSPENDED),
        (
            with_status(
                phase="Running",
                nodes=nodes(waiting(), node(NAME, phase="Running", kind="DAG")),
            ),
            Phase.SUSPENDED,
        ),
        (
            with_status(phase="Running", nodes=nodes(waiting(), node("a", phase="Running"))),
            Phase.RUNNING,
        ),
        (
            with_status(phase="Running", nodes=nodes(waiting(), node("a", phase="Pending"))),
            Phase.RUNNING,
        ),
        (
            with_status(phase="Running", nodes=nodes(waiting("Succeeded"))),
            Phase.RUNNING,
        ),
    ],
)
def test_phase(document: Json, phase: Phase) -> None:
    assert read(document).lifecycle.phase is phase


@pytest.mark.parametrize("phase", ["", "Pending", "Running"])
def test_unfinished_deleted_workflow_is_deleted(phase: str) -> None:
    document = with_status(phase=phase)
    assert read(document, gone=True).lifecycle.phase is Phase.DELETED
    document["metadata"]["deletionTimestamp"] = FINISHED
    lifecycle = read(document).lifecycle
    assert lifecycle.phase is Phase.DELETED
    assert lifecycle.finished_at == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert lifecycle.end == ("/metadata/deletionTimestamp", FINISHED)


def test_end_takes_precedence_over_deletion() -> None:
    document = with_status(phase="Failed", finishedAt=FINISHED)
    document["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    lifecycle = read(document, gone=True).lifecycle
    assert lifecycle.phase is Phase.FAILED
    assert lifecycle.end == ("/status/finishedAt", FINISHED)


def test_identity_comes_from_labels_and_annotations() -> None:
    identity = read(stored("order-9", version=12)).identity
    assert identity.key == RunKey("default", "order-9")
    assert (identity.uid, identity.name) == ("uid-of-order-9", name_of("order-9"))
    assert (identity.namespace, identity.workflow) == ("argo", "hello")
    assert identity.fingerprint == "f" * 64
    assert identity.traceparent is not None


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("annotations", metadata.RUN_ID, None, "run-id"),
        ("annotations", metadata.RUN_ID, "no run id!", "run-id"),
        ("labels", metadata.TENANT, None, "tenant"),
        ("labels", metadata.TENANT, "No_Tenant", "tenant"),
    ],
)
def test_workflow_without_run_id_or_tenant_is_foreign(
    part: str, name: str, value: str | None, words: str
) -> None:
    document = stored()
    del document["metadata"][part][name]
    if value is not None:
        document["metadata"][part][name] = value
    with pytest.raises(ForeignWorkflowError, match=words):
        read(document)


def test_copy_of_a_workflow_is_foreign() -> None:
    document = stored()
    document["metadata"]["name"] = f"{NAME}-x7k2p"
    with pytest.raises(ForeignWorkflowError, match=f"run default/order-1 is {NAME}"):
        read(document)


def test_workflow_without_annotations_is_foreign() -> None:
    document = stored()
    del document["metadata"]["annotations"]
    with pytest.raises(ForeignWorkflowError):
        read(document)


@pytest.mark.parametrize(
    ("text", "attempt"),
    [("3", 3), ("0", 1), ("-2", 1), ("many", 1), (None, 1), ("9" * 5000, 1), (["2"], 1)],
)
def test_attempt(text: object, attempt: int) -> None:
    document = stored()
    if text is not None:
        document["metadata"]["annotations"][metadata.ATTEMPT] = text
    assert read(document).lifecycle.attempt == attempt


def test_times_progress_and_message_are_parsed() -> None:
    state = read(
        with_status(phase="Running", startedAt=STARTED, progress="1/3", message="on its way")
    )
    assert state.started_at == datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert (state.progress, state.message) == ("1/3", "on its way")
    assert state.sequence == 7


def test_outputs_are_the_output_parameters_of_the_workflow() -> None:
    outputs = {
        "parameters": [{"name": "total", "value": "12"}, {"name": "later", "valueFrom": {}}],
        "exitCode": "0",
        "result": "printed",
    }
    state = read(with_status(phase="Succeeded", finishedAt=FINISHED, outputs=outputs))
    assert state.outputs == {"total": "12"}


def test_outputs_of_the_root_replace_missing_ones() -> None:
    root = node(
        NAME,
        phase="Succeeded",
        kind="DAG",
        outputs={"parameters": [{"name": "total", "value": "12"}]},
    )
    assert read(with_status(phase="Running", nodes=nodes(root))).outputs == {"total": "12"}


def test_groups_and_the_root_are_not_steps() -> None:
    state = read(
        with_status(
            phase="Running",
            nodes=nodes(
                node(NAME, phase="Running", kind="Steps"),
                node("group", phase="Running", kind="StepGroup"),
                node("fan", phase="Running", kind="TaskGroup"),
                node("late", phase="Running", startedAt="2026-01-01T00:01:00Z"),
                node("early", phase="Succeeded"),
                node("never", phase="Omitted", kind="Skipped", startedAt=None),
                node("again", phase="Running", kind="Retry"),
            ),
        )
    )
    shown = [step.id for step in state.steps if not step.is_group]
    assert shown == ["again", "early", "late", "never"]
    assert [step.id for step in state.steps if step.is_group] == ["fan", "group"]


def test_root_is_a_step_if_it_is_the_only_node() -> None:
    state = read(with_status(phase="Running", nodes=nodes(node(NAME, phase="Running"))))
    assert [step.id for step in state.steps] == [NAME]


def test_step_shows_outputs_times_and_message() -> None:
    full = node(
        "a",
        phase="Succeeded",
        finishedAt=FINISHED,
        message="fine",
        outputs={
            "parameters": [{"name": "p", "value": "1"}],
            "result": "printed",
            "exitCode": "0",
            "artifacts": [{"name": "main-logs"}],
        },
    )
    (step,) = read(with_status(phase="Running", nodes=nodes(full))).steps
    shown = step_of(step)
    assert shown.outputs == {"result": "printed", "p": "1"}
    assert (shown.name, shown.template, shown.type) == ("a", "main", "Pod")
    assert (shown.phase, shown.message) == ("Succeeded", "fine")
    assert shown.finished_at == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def log(container: str) -> Json:
    return {"name": f"{container}-logs", "s3": {"key": f"argo/run-x/pod-1/{container}.log"}}


REPOSITORY = {"default": True, "artifactRepository": {"s3": {"bucket": "kept", "endpoint": "s3"}}}


def logs_of(artifacts: Any, repository: Any = REPOSITORY) -> dict[str, str]:
    found = nodes(node("a", phase="Failed", outputs={"artifacts": artifacts}))
    (step,) = read(
        with_status(phase="Running", nodes=found, artifactRepositoryRef=repository)
    ).steps
    return step_of(step).logs


def test_step_links_to_the_archived_log_of_each_container() -> None:
    assert logs_of([log("main"), log("second")]) == {
        "main": "s3://kept/argo/run-x/pod-1/main.log",
        "second": "s3://kept/argo/run-x/pod-1/second.log",
    }


@pytest.mark.parametrize(
    "artifact",
    [
        {"name": "main-logs", "s3": {"key": "argo/run-x/pod-1/main-logs.tgz"}},
        {"name": "main", "s3": {"key": "argo/run-x/pod-1/main.log"}},
        {"name": "main-logs", "gcs": {"key": "argo/run-x/pod-1/main.log"}},
        {"name": "main-logs", "s3": {"key": ["/main.log"]}},
        {"name": 7, "s3": 7},
        "main-logs",
    ],
)
def test_other_artifacts_are_not_logs(artifact: object) -> None:
    assert logs_of([artifact]) == {}


@pytest.mark.parametrize(
    "repository",
    [
        None,
        {"artifactRepository": {"gcs": {"bucket": "kept"}}},
        {"artifactRepository": {"s3": {"bucket": 7}}},
        {"artifactRepository": {"s3": {"bucket": "kept/elsewhere"}}},
        {"artifactRepository": {"s3": {"bucket": "k" * 256}}},
    ],
)
def test_log_without_a_bucket_has_no_link(repository: object) -> None:
    assert logs_of([log("main")], repository) == {}
    assert logs_of("main-logs") == {}


def test_step_by_reference_names_its_template() -> None:
    bare = {"templateRef": {"name": "shared", "template": "count"}}
    (step,) = read(with_status(phase="Running", nodes={"n": bare})).steps
    assert step_of(step).model_dump(exclude_none=True) == {
        "id": "n",
        "name": "n",
        "template": "count",
        "phase": "Pending",
        "children": (),
        "inputs": {},
        "outputs": {},
        "logs": {},
    }


def test_compressed_nodes_are_parsed() -> None:
    packed = base64.b64encode(gzip.compress(json.dumps(nodes(waiting())).encode())).decode()
    state = read(with_status(phase="Running", compressedNodes=packed))
    assert state.lifecycle.phase is Phase.SUSPENDED
    assert [step.id for step in state.steps] == ["wait"]


@pytest.mark.parametrize(
    "status",
    [
        {"compressedNodes": "not base64"},
        {"compressedNodes": 7},
        {"nodes": [1]},
        {"compressedNodes": base64.b64encode(gzip.compress(b"[]")).decode()},
        {"offloadNodeStatusVersion": "fnv:1234"},
        {"nodes": {"malformed": None}},
        {"nodes": None, "outputs": "malformed"},
        {"outputs": {"parameters": ["malformed", {"name": "x"}]}},
        {"outputs": {"parameters": [{"name": 1, "value": 1}, {"name": {}, "value": 1}]}},
    ],
)
def test_outcome_does_not_depend_on_unreadable_nodes(status: Json) -> None:
    state = read(with_status(phase="Succeeded", finishedAt=FINISHED, **status))
    assert state.lifecycle.phase is Phase.SUCCEEDED
    assert (state.steps, state.outputs) == ((), {})


def test_malformed_fields_of_a_step_count_as_absent() -> None:
    malformed = {"type": ["Pod"], "phase": {}, "displayName": 7, "message": [], "startedAt": 1}
    (step,) = read(with_status(phase="Running", nodes={"a": malformed})).steps
    assert step_of(step).model_dump(exclude_none=True) == {
        "id": "a",
        "name": "a",
        "phase": "Pending",
        "children": (),
        "inputs": {},
        "outputs": {},
        "logs": {},
    }


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 7, "soon"]
)
def test_end_with_a_malformed_time_is_an_end(moment: object) -> None:
    lifecycle = read(with_status(phase="Failed", finishedAt=moment)).lifecycle
    assert (lifecycle.phase, lifecycle.finished_at) == (Phase.FAILED, None)
    assert lifecycle.end == ("/status/finishedAt", moment)


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert read(with_status(phase="Running", message="a\ud800b")).message == "a?b"


def test_unexpected_error_costs_only_the_details(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(workflow_state, "read_steps", fail)
    state = read(with_status(phase="Failed", finishedAt=FINISHED, progress="1/2"))
    assert state.identity.key == RunKey("default", "order-1")
    assert state.lifecycle.phase is Phase.FAILED
    assert state.lifecycle.finished_at == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert (state.sequence, state.progress, state.steps) == (7, None, ())
    assert state.defect == "ZeroDivisionError"


_LONG = "x" * 100_000
_OBJECTS: JsonValue = [{"": n} for n in range(10_000)]


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({}, {}),
        ({"displayName": _LONG}, {}),
        ({"templateName": _LONG}, {}),
        ({"message": "é" * 100_000}, {}),
        ({"outputs": {"parameters": [{"name": "o", "value": _LONG}]}}, {}),
        ({"outputs": {"parameters": [{"name": _LONG, "value": ""}]}}, {}),
        ({"outputs": {"parameters": [{"name": "o", "value": _OBJECTS}]}}, {}),
        (
            {"outputs": {"artifacts": [log(_LONG)]}},
            {"artifactRepositoryRef": REPOSITORY},
        ),
        ({}, {"message": _LONG}),
        ({}, {"progress": _LONG}),
        ({}, {"outputs": {"parameters": [{"name": "o", "value": _OBJECTS}]}}),
    ],
    ids=[
        "short strings",
        "name of a step",
        "template of a step",
        "message of a step",
        "output of a step",
        "name of an output",
        "objects in an output of a step",
        "log of a step",
        "message",
        "progress",
        "objects in an output",
    ],
)
def test_size_covers_the_memory_of_all_details(step: Json, status: Json) -> None:
    found = nodes(*(node(f"n{number}", phase="Running", **step) for number in range(10)))
    state = read(with_status(phase="Running", nodes=found, **status))
    details = (state.steps, state.outputs, state.message, state.progress)
    assert _bytes_of(details) <= state.size <= 8 * _bytes_of(details)


def _bytes_of(value: object) -> int:
    match value:
        case dict():
            return getsizeof(value) + sum(map(_bytes_of, [*value, *value.values()]))
        case list() | tuple():
            return getsizeof(value) + sum(map(_bytes_of, value))
        case _:
            return getsizeof(value)


_words = st.sampled_from(
    [
        "phase", "type", "nodes", "outputs", "parameters", "name", "value", "result", "message",
        "displayName", "templateRef", "template", "startedAt", "finishedAt", "progress",
        "compressedNodes", "artifacts", "s3", "key", "bucket", "Running", "Failed", "Suspend",
        "Pod", "DAG", FINISHED, NAME, "\ud800",
    ]
)  # fmt: skip
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _words | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=6),
    max_leaves=30,
)
_status = st.dictionaries(_words, _anything, max_size=8)


@given(status=_status | _anything, malformed=_anything, gone=st.booleans())
def test_any_json_can_be_parsed(status: Any, malformed: Any, gone: bool) -> None:
    document = stored(status=status, spec=malformed)
    document["metadata"] |= {"creationTimestamp": malformed, "finalizers": malformed}
    document["metadata"]["annotations"] |= dict.fromkeys(
        (metadata.ATTEMPT, metadata.PUBLISHED, metadata.TRACEPARENT), malformed
    )
    state = read(document, gone=gone)
    # No parser has raised: each accepts any JSON.
    assert state.defect in {None, "UnreadableNodesError"}


def test_steps_show_how_they_follow_each_other() -> None:
    state = read(
        with_status(
            phase="Running",
            nodes=nodes(
                node(NAME, phase="Running", kind="DAG", children=["split"]),
                node("split", phase="Succeeded", boundaryID=NAME, children=["fan"]),
                node("fan", phase="Running", kind="TaskGroup", boundaryID=NAME, children=["one"]),
                node("one", phase="Running", boundaryID="fan"),
            ),
        )
    )
    graph = {step.id: (step.boundary, step.children) for step in state.steps}
    assert graph == {
        "split": (None, ("fan",)),
        "fan": (None, ("one",)),
        "one": ("fan", ()),
    }


def test_small_inputs_are_shown_unless_parameters_are_private() -> None:
    inputs = {
        "parameters": [
            {"name": "short", "value": "x" * 256},
            {"name": "long", "value": "x" * 257},
            {"name": "none"},
            {"name": "number", "value": 7},
            "malformed",
        ]
    }
    document = with_status(phase="Running", nodes=nodes(node("a", phase="Running", inputs=inputs)))
    (step,) = read(document).steps
    assert step_of(step).inputs == {"short": "x" * 256}

    document["metadata"]["annotations"][metadata.PRIVATE_PARAMETERS] = "true"
    (step,) = read(document).steps
    assert step_of(step).inputs == {}
