"""A retry from a step: what runs again, and which pods are in its way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice_argo import metadata
from sluice_argo.pod_names import pod_name
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.requests import RetryCommand
from sluice_dispatcher.domain.command_patch import plan_change
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError, WorkflowChange

ENDED = "2026-01-01T00:00:00Z"
LATER = datetime(2026, 1, 1, 1, tzinfo=UTC)
RECORD = IncomingRecord(position=Position("requests", 0, 7), timestamp_ms=0, key=None, value=None)

Nodes = dict[str, dict[str, Any]]


def node(name: str, kind: str, *children: str, boundary: str = "wf", **more: Any) -> dict[str, Any]:
    """Return a node whose id is its name."""
    found = {
        "id": name,
        "name": name,
        "displayName": name.removeprefix("wf."),
        "type": kind,
        "templateName": "t",
        "phase": "Succeeded",
        "children": list(children),
        "startedAt": ENDED,
        "finishedAt": ENDED,
        "outputs": {},
        **more,
    }
    return found if name == "wf" else {**found, "boundaryID": boundary}


def as_nodes(*nodes: dict[str, Any]) -> Nodes:
    return {each["id"]: each for each in nodes}


def dag() -> Nodes:
    """Return a diamond: a, then b and c, then d."""
    return as_nodes(
        node("wf", "DAG", "wf.a", outboundNodes=["wf.d"]),
        node("wf.a", "Pod", "wf.b", "wf.c"),
        node("wf.b", "Pod", "wf.d"),
        node("wf.c", "Pod", "wf.d"),
        node("wf.d", "Pod"),
        node("wf.onExit", "Pod"),
    )


def steps() -> Nodes:
    return as_nodes(
        node("wf", "Steps", "wf[0]", outboundNodes=["wf[1].c"]),
        node("wf[0]", "StepGroup", "wf[0].a", "wf[0].b"),
        node("wf[0].a", "Pod", "wf[1]"),
        node("wf[0].b", "Pod", "wf[1]"),
        node("wf[1]", "StepGroup", "wf[1].c"),
        node("wf[1].c", "Pod"),
    )


def fan() -> Nodes:
    """Return a fan-out with attempts, inside of a DAG of its own."""
    inner = {"boundary": "wf.fan"}
    return as_nodes(
        node("wf", "DAG", "wf.fan", outboundNodes=["wf.end"]),
        node("wf.fan", "DAG", "wf.fan.n", outboundNodes=["wf.fan.n(0:x)(0)", "wf.fan.n(1:y)(0)"]),
        node("wf.fan.n", "TaskGroup", "wf.fan.n(0:x)", "wf.fan.n(1:y)", **inner),
        node("wf.fan.n(0:x)", "Retry", "wf.fan.n(0:x)(0)", **inner),
        node("wf.fan.n(0:x)(0)", "Pod", "wf.end", **inner),
        node("wf.fan.n(1:y)", "Retry", "wf.fan.n(1:y)(0)", **inner),
        node("wf.fan.n(1:y)(0)", "Pod", "wf.end", **inner),
        node("wf.end", "Pod"),
    )


def finished(nodes: Nodes, phase: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "wf",
            "resourceVersion": "5",
            "annotations": {metadata.PUBLISHED: f"1/{phase}@{ENDED}"},
        },
        "spec": {},
        "status": {"phase": phase, "finishedAt": ENDED, "nodes": nodes},
    }


def retried(nodes: Nodes, *, phase: str = "Succeeded", **command: Any) -> WorkflowChange:
    order = RetryCommand(id="a", **command)
    return plan_change(finished(nodes, phase), order, record=RECORD, now=LATER)


def left(change: WorkflowChange) -> Nodes:
    for operation in change.patch:
        if operation["path"] == "/status/nodes":
            nodes: Nodes = operation["value"]
            return nodes
    raise AssertionError("the nodes stay as they are")


def phases(change: WorkflowChange) -> dict[str, str]:
    return {node_id: each["phase"] for node_id, each in left(change).items()}


def pods(nodes: Nodes, *names: str) -> set[str]:
    return {pod_name(finished(nodes, "Succeeded"), nodes[name]) for name in names}


@pytest.mark.parametrize(
    ("nodes", "step", "expected", "deleted"),
    [
        (dag(), "b", {"wf": "Running", "wf.a": "Succeeded", "wf.c": "Succeeded"}, ["wf.b", "wf.d"]),
        (dag(), "wf.a", {"wf": "Running"}, ["wf.a", "wf.b", "wf.c", "wf.d"]),
        (
            steps(),
            "wf[0].a",
            {"wf": "Running", "wf[0]": "Running", "wf[0].b": "Succeeded"},
            ["wf[0].a", "wf[1].c"],
        ),
        (
            steps(),
            "wf[1].c",
            {
                "wf": "Running",
                "wf[0]": "Succeeded",
                "wf[0].a": "Succeeded",
                "wf[0].b": "Succeeded",
                "wf[1]": "Running",
            },
            ["wf[1].c"],
        ),
        (
            fan(),
            "wf.fan.n(0:x)(0)",
            {
                "wf": "Running",
                "wf.fan": "Running",
                "wf.fan.n": "Running",
                "wf.fan.n(1:y)": "Succeeded",
                "wf.fan.n(1:y)(0)": "Succeeded",
            },
            ["wf.fan.n(0:x)(0)", "wf.end"],
        ),
        (fan(), "wf.fan", {"wf": "Running"}, ["wf.fan.n(0:x)(0)", "wf.fan.n(1:y)(0)", "wf.end"]),
        (
            fan(),
            "end",
            {
                "wf": "Running",
                "wf.fan": "Succeeded",
                "wf.fan.n": "Succeeded",
                "wf.fan.n(0:x)": "Succeeded",
                "wf.fan.n(0:x)(0)": "Succeeded",
                "wf.fan.n(1:y)": "Succeeded",
                "wf.fan.n(1:y)(0)": "Succeeded",
            },
            ["wf.end"],
        ),
    ],
)
def test_a_step_runs_again_with_all_that_follows_it(
    nodes: Nodes, step: str, expected: dict[str, str], deleted: list[str]
) -> None:
    change = retried(nodes, step=step)
    assert phases(change) == expected
    gone = [*deleted, *(["wf.onExit"] if "wf.onExit" in nodes else [])]
    assert set(change.obsolete_pods) == pods(nodes, *gone)
    for each in left(change).values():
        assert set(each["children"]) <= left(change).keys()
        assert set(each.get("outboundNodes", ())) <= left(change).keys()


def test_a_group_that_runs_again_has_not_ended() -> None:
    root = left(retried(dag(), step="b"))["wf"]
    assert not {"finishedAt", "outputs", "message"} & root.keys()
    assert root["startedAt"] == "2026-01-01T01:00:00Z"


def test_all_steps_run_again_on_demand() -> None:
    nodes = dag()
    change = retried(nodes, restart_succeeded=True)
    assert left(change) == {}
    every = pods(nodes, "wf.a", "wf.b", "wf.c", "wf.d", "wf.onExit")
    assert set(change.obsolete_pods) == every


def test_the_pods_of_failed_steps_are_in_the_way_of_any_retry() -> None:
    """Argo would take the pod that failed for the one of the next attempt."""
    nodes = dag()
    nodes["wf.d"]["phase"] = nodes["wf"]["phase"] = "Failed"
    change = retried(nodes, phase="Failed")
    assert set(change.obsolete_pods) == pods(nodes, "wf.d", "wf.onExit")
    assert phases(change) == {
        "wf": "Running",
        "wf.a": "Succeeded",
        "wf.b": "Succeeded",
        "wf.c": "Succeeded",
    }


def test_a_container_of_a_set_runs_again_with_its_pod() -> None:
    nodes = as_nodes(
        node("wf", "DAG", "wf.set"),
        node("wf.set", "Pod", "wf.set.one"),
        node("wf.set.one", "Container", "wf.set.two", boundary="wf.set"),
        node("wf.set.two", "Container", boundary="wf.set"),
    )
    change = retried(nodes, step="wf.set.two")
    assert phases(change) == {"wf": "Running"}
    assert set(change.obsolete_pods) == pods(nodes, "wf.set")


@pytest.mark.parametrize(
    ("command", "phase", "said"),
    [
        ({}, "Succeeded", "restart_succeeded"),
        ({"step": "b"}, "Running", "Running"),
        ({"step": "nobody"}, "Failed", "'nobody'"),
        ({"step": "wf.onExit"}, "Failed", "'wf.onExit'"),
        ({"step": "twin"}, "Failed", "2 steps"),
    ],
)
def test_a_retry_that_does_not_apply_is_refused(
    command: dict[str, Any], phase: str, said: str
) -> None:
    nodes = dag()
    nodes["wf.b"]["displayName"] = nodes["wf.c"]["displayName"] = "twin"
    with pytest.raises(InapplicableCommandError, match=said) as caught:
        retried(nodes, phase=phase, **command)
    assert caught.value.problem_type is ProblemType.NOT_APPLICABLE


def test_a_retry_forgets_what_stopped_the_run() -> None:
    workflow = finished(dag(), "Failed")
    workflow["spec"] = {"shutdown": "Stop"}
    workflow["status"]["storedWorkflowTemplateSpec"] = {"shutdown": "Stop", "entrypoint": "x"}
    workflow["status"]["persistentVolumeClaims"] = [{"name": "gone"}]
    change = plan_change(workflow, RetryCommand(id="a"), record=RECORD, now=LATER)
    changed = {operation["path"]: operation.get("value") for operation in change.patch}
    assert "/spec/shutdown" in changed
    assert changed["/status/storedWorkflowTemplateSpec"] == {"entrypoint": "x"}
    assert changed["/status/persistentVolumeClaims"] is None


@pytest.mark.parametrize(
    ("step", "seconds"),
    [("d", 45), (None, 5)],
    ids=["of a step that succeeded", "of a step that failed"],
)
def test_a_retry_waits_until_argo_has_deleted_the_pods_that_it_deletes(
    step: str | None, seconds: int
) -> None:
    """Argo deletes by name, and would delete the pod of the next attempt."""
    nodes = dag()
    nodes["wf"]["phase"] = "Failed"
    del nodes["wf.onExit"]
    if step is None:
        nodes["wf.d"]["phase"] = "Failed"
    workflow = finished(nodes, "Failed")
    workflow["spec"]["podGC"] = {"strategy": "OnPodSuccess", "deleteDelayDuration": "30s"}
    command = RetryCommand(id="a", step=step)
    due = datetime.fromisoformat(ENDED) + timedelta(seconds=seconds)
    with pytest.raises(MustWaitError) as caught:
        plan_change(workflow, command, record=RECORD, now=due - timedelta(seconds=1))
    assert (caught.value.reason, caught.value.retry_after) == (WaitReason.ARGO, 1.0)
    assert plan_change(workflow, command, record=RECORD, now=due).obsolete_pods


def test_a_retry_does_not_wait_for_an_end_far_in_the_future() -> None:
    workflow = finished(dag(), "Failed")
    early = datetime.fromisoformat(ENDED) - timedelta(hours=1)
    assert plan_change(workflow, RetryCommand(id="a"), record=RECORD, now=early).obsolete_pods
    early = datetime.fromisoformat(ENDED) - timedelta(seconds=4)
    with pytest.raises(MustWaitError) as caught:
        plan_change(workflow, RetryCommand(id="a"), record=RECORD, now=early)
    assert caught.value.retry_after == 5.0


def test_pods_have_the_names_that_argo_gives_them() -> None:
    """Format v2 is `<workflow>-<template>-<FNV-1a of the name>`, at most 253 characters."""
    workflow: dict[str, Any] = {"metadata": {"name": "wf"}}
    assert pod_name(workflow, {"id": "wf", "name": "wf"}) == "wf"
    inner = {"id": "wf-1", "name": "wf.a", "templateName": "t"}
    assert pod_name(workflow, inner) == "wf-t-2962115457"
    assert pod_name(workflow, {**inner, "templateRef": {"template": "u"}}) == "wf-u-2962115457"
    long = {**inner, "templateName": "t" * 300}
    assert pod_name(workflow, long) == f"{('wf-' + 't' * 300)[:242]}-2962115457"
    workflow["metadata"]["annotations"] = {"workflows.argoproj.io/pod-name-format": "v1"}
    assert pod_name(workflow, inner) == "wf-1"
