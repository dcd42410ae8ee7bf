"""A policy of the cluster that turns the Workflows of one catalogue entry away."""

from collections.abc import Iterator
from typing import Any

from sluice_contracts.metadata import WORKFLOW

_API = "admissionregistration.k8s.io/v1"


def refusal(namespace: str, *, workflow: str) -> Iterator[dict[str, Any]]:
    """Give a ValidatingAdmissionPolicy and its binding to a namespace.

    A run that is turned away has an outcome, Rejected, and costs the cluster next to nothing: so
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
            "validations": [{"expression": expression, "message": "It is turned away."}],
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
