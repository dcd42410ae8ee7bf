"""What stopped the pods of a run, by the words of Argo and Kubernetes."""

from typing import Any

import pytest

from sluice_contracts.problems import ProblemCause, ProblemType
from sluice_status_watcher.domain.stopped_pods import problem_of_pods

REFUSED, ACCOUNT = ProblemCause.PODS_REFUSED, ProblemCause.ACCOUNT_MISSING
IMAGE, ARTIFACTS = ProblemCause.IMAGE_UNAVAILABLE, ProblemCause.ARTIFACTS_UNAVAILABLE

RESTRICTED = (
    'pods "run-a-main-1" is forbidden: violates PodSecurity "restricted:latest": '
    'allowPrivilegeEscalation != false (container "main" must set '
    "securityContext.allowPrivilegeEscalation=false)"
)
FORBIDDEN = (
    'workflowtaskresults.argoproj.io is forbidden: User "system:serviceaccount:argo:default" '
    'cannot create resource "workflowtaskresults" in API group "argoproj.io" in the namespace '
    '"argo"'
)


def failed(message: str, **more: Any) -> dict[str, Any]:
    return {"displayName": "render", "type": "Pod", "phase": "Error", "message": message} | more


MESSAGES = [
    (RESTRICTED, REFUSED, "Pod Security Standard"),
    (
        'pods "a" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
        REFUSED,
        "did not admit",
    ),
    (
        ("pods \"a\" is forbidden: ValidatingAdmissionPolicy 'images' denied request: no"),
        REFUSED,
        "did not admit",
    ),
    (
        (
            'pods is forbidden: User "system:serviceaccount:argo:argo" cannot create resource '
            '"pods" in API group "" in the namespace "runs"'
        ),
        REFUSED,
        "did not admit",
    ),
    ('admission webhook "policy.example.com" denied the request: no', REFUSED, "did not admit"),
    ('Pod "a" is invalid: spec.containers[0].image: Required value', REFUSED, "did not admit"),
    (
        (
            'pods "a" is forbidden: error looking up service account runs/reporter: serviceaccount '
            '"reporter" not found'
        ),
        ACCOUNT,
        "does not exist",
    ),
    ('serviceaccounts "sluice-executor" not found', ACCOUNT, "does not exist"),
    (
        "executor.serviceAccountName must not be empty if automountServiceAccountToken is false",
        ACCOUNT,
        "executor.yaml",
    ),
    (f"wait: Error (exit code 64): {FORBIDDEN}", ACCOUNT, "executor.yaml"),
    (
        (
            'failed to look-up entrypoint/cmd for image "busybox", you must either explicitly '
            "specify the command, or list it in the index: https://…"
        ),
        IMAGE,
        "names no `command`",
    ),
    ('ImagePullBackOff: Back-off pulling image "nowhere/nothing:1"', IMAGE, "not be pulled"),
    (
        "Pod failed before main container starts due to ErrImagePull: no such host",
        IMAGE,
        "not be pulled",
    ),
    (
        "Pod failed before main container starts due to InvalidImageName: Failed to apply default",
        IMAGE,
        "not be pulled",
    ),
    (
        (
            "wait: Error (exit code 64): key unsupported: cannot get key for artifact location, "
            "because it is invalid"
        ),
        ARTIFACTS,
        "no artifact repository is configured",
    ),
    (
        (
            "wait: Error (exit code 64): You need to configure artifact storage. More information: https://…"
        ),
        ARTIFACTS,
        "no artifact repository is configured",
    ),
    (
        (
            "init: Error (exit code 64): failed to load artifact 'a': template artifact "
            "location not set"
        ),
        ARTIFACTS,
        "no artifact repository is configured",
    ),
    (
        "init: Error (exit code 64): artifact storage is not configured; see the docs",
        ARTIFACTS,
        "no artifact repository is configured",
    ),
    (
        "wait: Error (exit code 64): failed to put file: The specified bucket does not exist; ",
        ARTIFACTS,
        "refused or lacks",
    ),
    (
        (
            "init: Error (exit code 64): artifact text failed to load: failed to get file: Access "
            "Denied."
        ),
        ARTIFACTS,
        "refused or lacks",
    ),
    (
        "wait: Error (exit code 64): failed to create new S3 client: Endpoint: does not follow",
        ARTIFACTS,
        "refused or lacks",
    ),
]


@pytest.mark.parametrize(("message", "cause", "advice"), MESSAGES)
def test_the_words_of_argo_and_kubernetes(message: str, cause: ProblemCause, advice: str) -> None:
    found = problem_of_pods({"a": failed(message)}, message="child 'render' errored")

    assert found is not None
    assert found.cause == cause
    assert advice in found.detail
    assert found.detail.endswith(f"Argo's message of step `render`: {message}")


def test_the_type_says_whether_to_change_the_template_or_to_wait() -> None:
    types = {problem_of_pods({"a": failed(message)}, message=None) for message, _, _ in MESSAGES}
    assert {(found.cause, found.type) for found in types if found} == {
        ("pods-refused", ProblemType.REFUSED_BY_CLUSTER),
        ("account-missing", ProblemType.REFUSED_BY_CLUSTER),
        ("image-unavailable", ProblemType.UNAVAILABLE),
        ("artifacts-unavailable", ProblemType.UNAVAILABLE),
    }


@pytest.mark.parametrize(
    "message",
    [
        "main: Error (exit code 1)",
        "Error (exit code 1)",
        # What a container says as it ends is part of the message.
        f"main: Error (exit code 1): {RESTRICTED}",
        "main: Error (exit code 1): wait: Error (exit code 64): failed to put file: x",
        f"sidecar: Error (exit code 1): {FORBIDDEN}",
        "Pod was active on the node longer than the specified deadline",
        "Step exceeded its deadline",
        "workflow shutdown with strategy:  Stop",
        "wait: Error (exit code 64): open /sluice/out/x: no such file or directory",
        "child 'pods \"a\" is forbidden: ' failed",
    ],
)
def test_other_words_are_passed_over(message: str) -> None:
    assert problem_of_pods({"a": failed(message)}, message=message) is None


@pytest.mark.parametrize("prefix", ["", "error in entry template execution: "])
def test_the_message_of_the_workflow_is_read_after_those_of_steps(prefix: str) -> None:
    found = problem_of_pods({}, message=prefix + RESTRICTED)

    assert found is not None
    assert found.cause == REFUSED
    assert found.detail.endswith(f"Argo's message: {prefix}{RESTRICTED}")
    repository = 'failed to get artifact repository: configmaps "artifact-repositories" not found'
    found = problem_of_pods({}, message=repository)
    assert found is not None
    assert found.cause == ARTIFACTS


def test_the_first_step_to_fail_counts() -> None:
    nodes = {
        "b": failed(RESTRICTED, finishedAt="2026-12-01T09:30:02Z"),
        "a": failed("ErrImagePull: x", displayName="first", finishedAt="2026-12-01T09:30:01Z"),
    }
    found = problem_of_pods(nodes, message=None)
    assert found is not None
    assert "step `first`" in found.detail


def test_a_failure_that_a_retry_made_good_does_not_count() -> None:
    retry = {"type": "Retry", "phase": "Succeeded", "children": ["a", "b"]}
    nodes = {"r": retry, "a": failed(RESTRICTED), "b": failed("", phase="Succeeded")}

    assert problem_of_pods(nodes, message=None) is None
    assert problem_of_pods(nodes | {"r": retry | {"phase": "Error"}}, message=None) is not None


@pytest.mark.parametrize("phase", ["Succeeded", "Running", "Pending", "Skipped", None])
def test_only_steps_that_failed_count(phase: str | None) -> None:
    assert problem_of_pods({"a": failed(RESTRICTED, phase=phase)}, message=None) is None


def test_a_long_message_is_shortened() -> None:
    found = problem_of_pods({"a": failed(RESTRICTED * 1000, displayName="n" * 9999)}, message=None)
    assert found is not None
    assert len(found.detail) < 1500
    assert found.detail.endswith("…")


def test_malformed_nodes_are_passed_over() -> None:
    nodes: dict[str, Any] = {"r": {"type": "Retry", "children": 1}, "a": None, "d": []}
    nodes |= {"b": {"phase": "Error", "message": 7}, "c": {"phase": "Error"}}
    assert problem_of_pods(nodes, message=None) is None
