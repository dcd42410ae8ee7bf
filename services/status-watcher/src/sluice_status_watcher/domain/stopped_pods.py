"""Says what kept the pods of a run from working, by the messages that Argo leaves; pure.

Argo passes on the words of Kubernetes, and these do not say what to do. Only messages that Argo
writes itself are read: what a step's own container says could imitate any of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sluice_contracts.problems import Problem, ProblemCause, ProblemType, problem
from sluice_status_watcher.domain.lenient_json import as_text, as_texts
from sluice_status_watcher.domain.steps import shown_name

__all__ = ["problem_of_pods"]

_MAX_MESSAGE: Final = 2048
_MAX_QUOTED: Final = 512
_MAX_NAME: Final = 128
_FAILED: Final = frozenset({"Failed", "Error"})

_DOCS: Final = "docs/catalogue.md, `What the cluster needs`, has an example"
_HAS_NO_RIGHTS: Final = (
    "Argo's executor has an account that may not report results. Name one with the rights of "
    f"helm/sluice/rules/executor.yaml in the template, as `executor.serviceAccountName`; {_DOCS}."
)
_MISSING_ACCOUNT: Final = (
    "The service account of the template does not exist in the namespace of the runs. Create it, "
    "or name another one in the template (`serviceAccountName`, `executor.serviceAccountName`)."
)
_NEEDS_CONTEXT: Final = (
    "The namespace enforces a Pod Security Standard that the pods of this template break. Give its "
    "containers a `securityContext` with what is listed, and Argo's own containers one in the "
    f"controller's configuration; {_DOCS}."
)
_REFUSED: Final = (
    "The cluster did not admit the pods of this template. Change the template, or the policy, "
    "quota or webhook that is named."
)
_NO_COMMAND: Final = (
    "The template names no `command`, and Argo's controller could not ask the registry for that of "
    "the image. Name the command in the template, or give the controller access to the registry."
)
_NO_IMAGE: Final = (
    "The image could not be pulled. Check its name and tag, the node's way to the registry, and "
    "`imagePullSecrets`."
)
_NO_REPOSITORY: Final = (
    "The template has artifacts, and no artifact repository is configured for the namespace of the "
    "runs. Configure one: "
    "https://argo-workflows.readthedocs.io/en/latest/configure-artifact-repository/"
)
_NO_STORE: Final = (
    "The artifact repository refused or lacks an artifact. Check its endpoint, its bucket, and the "
    "Secret or role that gives access to it."
)

# What Argo writes before the message of a step that it could not start (v4.0
# workflow/controller/operator.go, `operate`), and before that of its own containers (`init`,
# `wait`; `inferFailedReason`). Both lines of Argo have these words.
_STEP: Final = r"(?:error in (?:entry|exit) template execution ?: )?"
_EXECUTOR: Final = r"(?:init|wait): \w+ \(exit code \d+\): .*?"


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    cause: ProblemCause
    advice: str


def _rule(pattern: str, cause: ProblemCause, advice: str) -> _Rule:
    return _Rule(re.compile(pattern, re.DOTALL), cause, advice)


_TYPES: Final = {
    ProblemCause.PODS_REFUSED: ProblemType.REFUSED_BY_CLUSTER,
    ProblemCause.ACCOUNT_MISSING: ProblemType.REFUSED_BY_CLUSTER,
    ProblemCause.IMAGE_UNAVAILABLE: ProblemType.UNAVAILABLE,
    ProblemCause.ARTIFACTS_UNAVAILABLE: ProblemType.UNAVAILABLE,
}


# The first rule that matches counts.
_RULES: Final = (
    # kubernetes v1.34 plugin/pkg/admission/serviceaccount/admission.go
    _rule(
        _STEP + r'pods "[^"]*" is forbidden: error looking up service account ',
        ProblemCause.ACCOUNT_MISSING,
        _MISSING_ACCOUNT,
    ),
    # Argo v4.0 workflow/controller/operator.go, `getServiceAccountTokenName`, passes on
    # apimachinery v0.34 pkg/api/errors/errors.go, `NewNotFound`.
    _rule(
        _STEP + r'serviceaccounts "[^"]*" not found',
        ProblemCause.ACCOUNT_MISSING,
        _MISSING_ACCOUNT,
    ),
    # Argo v4.0 workflow/controller/workflowpod.go, `setupServiceAccount`
    _rule(
        _STEP + r"executor\.serviceAccountName must not be empty",
        ProblemCause.ACCOUNT_MISSING,
        _HAS_NO_RIGHTS,
    ),
    # apiserver v0.34 pkg/endpoints/handlers/responsewriters/errors.go, `forbiddenMessage`
    _rule(
        _EXECUTOR + r'is forbidden: User "[^"]*" cannot ',
        ProblemCause.ACCOUNT_MISSING,
        _HAS_NO_RIGHTS,
    ),
    # pod-security-admission v0.34 admission/admission.go
    _rule(
        _STEP + r'pods "[^"]*" is forbidden: violates PodSecurity ',
        ProblemCause.PODS_REFUSED,
        _NEEDS_CONTEXT,
    ),
    # apimachinery v0.34 pkg/api/errors/errors.go, `NewForbidden` and `NewInvalid`: quotas,
    # LimitRanges, ValidatingAdmissionPolicies, and Argo's own rights
    _rule(
        _STEP + r'(?:pods (?:"[^"]*" )?is forbidden: |Pod "[^"]*" is invalid: )',
        ProblemCause.PODS_REFUSED,
        _REFUSED,
    ),
    # apiserver v0.34 pkg/admission/plugin/webhook/errors/statuserror.go
    _rule(
        _STEP + r'admission webhook "[^"]*" denied the request',
        ProblemCause.PODS_REFUSED,
        _REFUSED,
    ),
    # Argo v4.0 workflow/controller/workflowpod.go, `createWorkflowPod`
    _rule(
        _STEP + r"failed to look-up entrypoint/cmd for image ",
        ProblemCause.IMAGE_UNAVAILABLE,
        _NO_COMMAND,
    ),
    # kubernetes v1.34 pkg/kubelet/images/types.go; before it `getPendingReason` and
    # `inferFailedReason` of Argo v4.0 workflow/controller/operator.go
    _rule(
        r"(?:Pod failed before \S+ container starts due to )?"
        r"(?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName"
        r"|ImageInspectError|RegistryUnavailable|SignatureValidationFailed)\b",
        ProblemCause.IMAGE_UNAVAILABLE,
        _NO_IMAGE,
    ),
    # Argo v4.0 workflow/controller/operator.go, `operate`; the message is the Workflow's
    _rule(
        r"failed to (?:get|resolve) artifact repository: ",
        ProblemCause.ARTIFACTS_UNAVAILABLE,
        _NO_REPOSITORY,
    ),
    # pkg/apis/workflow/v1alpha1/workflow_types.go of Argo, `ArtifactLocation.Get` and `Relocate`;
    # the third is v4.0's, the last is v3.7's
    _rule(
        _EXECUTOR + r"(?:key unsupported: cannot get key for artifact location"
        r"|(?:failed to load artifact '[^']*': )?template artifact location not set"
        r"|artifact storage is not configured|You need to configure artifact storage)",
        ProblemCause.ARTIFACTS_UNAVAILABLE,
        _NO_REPOSITORY,
    ),
    # Argo v4.0 workflow/executor/executor.go, `loadArtifacts`, and workflow/artifacts/s3/s3.go
    _rule(
        _EXECUTOR + r"(?:artifact \S+ failed to load: "
        r"|failed to (?:get|put|list) (?:file|directory): "
        r"|failed to (?:test|check) if |failed to create (?:new S3 client|bucket \S+): )",
        ProblemCause.ARTIFACTS_UNAVAILABLE,
        _NO_STORE,
    ),
)


def problem_of_pods(nodes: Mapping[str, Any], *, message: str | None) -> Problem | None:
    """Return what stopped the pods of a Workflow that has failed; None if its messages do not say.

    `message` is that of the Workflow. The first step to end with such a message counts.
    """
    for name, said in _messages(nodes, message):
        for rule in _RULES:
            if rule.pattern.match(said, 0, _MAX_MESSAGE):
                of_step = f" of step `{name[:_MAX_NAME]}`" if name else ""
                quoted = said[:_MAX_QUOTED] + ("…" if len(said) > _MAX_QUOTED else "")
                detail = f"{rule.advice} Argo's message{of_step}: {quoted}"
                return problem(_TYPES[rule.cause], detail, cause=rule.cause)
    return None


def _messages(nodes: Mapping[str, Any], message: str | None) -> Iterator[tuple[str | None, str]]:
    """Yield the messages of steps that failed, in the order of their ends, and the Workflow's."""
    made_good = _made_good(nodes)
    failed = [
        (as_text(node.get("finishedAt")) or "~", shown_name(node_id, node), said)
        for node_id, node in nodes.items()
        if isinstance(node, dict)
        and node_id not in made_good
        and as_text(node.get("phase")) in _FAILED
        and (said := as_text(node.get("message")))
    ]
    yield from ((name, said) for _, name, said in sorted(failed))
    if message:
        yield None, message


def _made_good(nodes: Mapping[str, Any]) -> set[str]:
    """Return the nodes whose failure did no harm, because a later attempt succeeded."""
    return {
        child
        for node in nodes.values()
        if isinstance(node, dict)
        and as_text(node.get("type")) == "Retry"
        and as_text(node.get("phase")) not in _FAILED
        for child in as_texts(node.get("children"))
    }
