"""Which pod a step has."""

from typing import Any

import pytest

from sluice_argo.pod_names import pod_name
from sluice_contracts.ids import RunKey, workflow_name
from sluice_log_relay.domain.step_pods import (
    ContainerState,
    StepOfRun,
    container_state,
    is_pod_of,
)
from tests.support.fake_pods import pod_of

KEY = RunKey("acme", "order-1")
WORKFLOW = workflow_name(KEY)


def step(node_id: str = f"{WORKFLOW}-123", template: str | None = "count") -> StepOfRun:
    return StepOfRun(key=KEY, namespace="argo", uid="u1", node_id=node_id, template=template)


@pytest.mark.parametrize(
    ("name", "template", "node_id", "annotations"),
    [
        (f"{WORKFLOW}[0].count(0)", "count", f"{WORKFLOW}-{{hash}}", {}),
        (f"{WORKFLOW}[0].count(0)", "x" * 250, f"{WORKFLOW}-{{hash}}", {}),
        (f"{WORKFLOW}.one", "", f"{WORKFLOW}-{{hash}}", {}),
        (WORKFLOW, "main", WORKFLOW, {}),
        (
            f"{WORKFLOW}.one",
            "count",
            f"{WORKFLOW}-{{hash}}",
            {"workflows.argoproj.io/pod-name-format": "v1"},
        ),
    ],
)
def test_the_name_of_the_pod_follows_from_the_id_alone(
    name: str, template: str, node_id: str, annotations: dict[str, str]
) -> None:
    workflow = {"metadata": {"name": WORKFLOW, "annotations": annotations}}
    hashed = pod_name({"metadata": {"name": WORKFLOW}}, {"name": name}).rpartition("-")[2]
    node = {"id": node_id.format(hash=hashed), "name": name, "templateName": template}
    assert pod_name(workflow, node) in step(node["id"], template or None).pods


@pytest.mark.parametrize(
    "node_id",
    ["", "other-123", f"{WORKFLOW}x", f"{WORKFLOW}-../../secrets/x", f"{WORKFLOW}-1/log?x=%2e"],
)
def test_no_other_name_can_be_asked_for(node_id: str) -> None:
    assert step(node_id, template=None).pods == ()


def without(path: str) -> dict[str, Any]:
    pod = pod_of(step())
    del pod["metadata"][path]
    return pod


@pytest.mark.parametrize(
    "pod",
    [
        pod_of(step(), uid="another"),
        pod_of(step(f"{WORKFLOW}-124")),
        without("labels"),
        without("annotations"),
        without("ownerReferences"),
        {},
    ],
)
def test_a_pod_of_another_step_or_workflow_is_not_read(pod: dict[str, Any]) -> None:
    assert is_pod_of(step(), pod_of(step()))
    assert not is_pod_of(step(), pod)


def test_an_owner_of_another_kind_does_not_count() -> None:
    pod = pod_of(step())
    pod["metadata"]["ownerReferences"][0]["kind"] = "Job"
    assert not is_pod_of(step(), pod)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("waiting", ContainerState.WAITING),
        ("running", ContainerState.RUNNING),
        ("terminated", ContainerState.ENDED),
    ],
)
def test_how_far_a_container_is(state: str, found: ContainerState) -> None:
    assert container_state(pod_of(step(), state)) is found


def test_a_pod_that_ends_before_its_container_starts_writes_nothing() -> None:
    pod = {"status": {"phase": "Failed", "containerStatuses": []}}
    assert container_state(pod) is ContainerState.NEVER_STARTED
    assert container_state({"status": {"phase": "Pending"}}) is ContainerState.WAITING
