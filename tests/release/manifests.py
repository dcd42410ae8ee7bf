"""Further objects of the cluster that tests of releases need."""

from collections.abc import Iterator
from typing import Any

from sluice_argo.metadata import WORKFLOW

Json = dict[str, Any]

_API = "admissionregistration.k8s.io/v1"


def suspended_template(name: str, *, seconds: int | None = None) -> Json:
    """Return a WorkflowTemplate that waits without a pod, forever if `seconds` is None."""
    suspend = {} if seconds is None else {"duration": str(seconds)}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": "sluice-executor",
            "entrypoint": "main",
            "templates": [{"name": "main", "suspend": suspend}],
        },
    }


def refusal(namespace: str, *, workflow: str) -> Iterator[Json]:
    """Give a ValidatingAdmissionPolicy and its binding to a namespace.

    A run that is refused has an outcome, Rejected, and costs the cluster next to nothing: so
    there can be thousands of accepted runs, of which each is accounted for.
    """
    name = f"{namespace}-{workflow}"
    expression = f"object.metadata.?labels[?'{WORKFLOW}'].orValue('') != '{workflow}'"
    yield {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["argoproj.io"],
                        "apiVersions": ["*"],
                        "resources": ["workflows"],
                        "operations": ["CREATE"],
                    }
                ]
            },
            "validations": [{"expression": expression, "message": "It is refused."}],
        },
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    yield {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": here},
        },
    }
