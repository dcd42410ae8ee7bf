"""What Helm renders, as the objects that Argo CD applies."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.gitops.projects import GroupKind, group_and_kind

Json = dict[str, Any]
Key = tuple[str, str, str, str]
"""Group, kind, namespace ("" where it has none) and name."""

CLUSTER_SCOPED: frozenset[GroupKind] = frozenset(
    [
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("networking.k8s.io", "IngressClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "StorageClass"),
    ]
)
"""Kubernetes' own kinds without a namespace, of those that charts make."""


class _Loader(yaml.CSafeLoader):
    """Reads a bare `=`, an operator in some CRDs, as text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: str(node.value))


def objects_of(text: str) -> list[Json]:
    """Return the objects of a rendered text, as they reach the API server.

    Lists are unpacked, a null is left out as there, and so is what only `helm test` makes.
    """
    found: list[Json] = []
    for document in yaml.load_all(text, Loader=_Loader):
        if document:
            found += document["items"] if document["kind"] == "List" else [document]
    return [_without_nulls(each) for each in found if not _is_only_for_helm_test(each)]


def _is_only_for_helm_test(thing: Json) -> bool:
    annotations = thing["metadata"].get("annotations") or {}
    hooks = annotations.get("helm.sh/hook", "").split(",")
    return "test" in hooks and "argocd.argoproj.io/hook" not in annotations


def _without_nulls(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_nulls(each) for name, each in node.items() if each is not None}
    return [_without_nulls(each) for each in node] if isinstance(node, list) else node


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """An Application with the objects that it makes, each of two renders."""

    application: Json
    wave: int
    first: list[Json]
    second: list[Json]

    @property
    def name(self) -> str:
        """Give the Application's name."""
        return str(self.application["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Give the namespace of objects that name none."""
        return str(self.application["spec"]["destination"]["namespace"])


@dataclass(frozen=True)
class Scopes:
    """Which kinds have no namespace."""

    kinds: frozenset[GroupKind]

    @classmethod
    def known(cls, definitions: Iterable[Json]) -> "Scopes":
        """Return Kubernetes' own and those of the CustomResourceDefinitions among the objects."""
        theirs = {
            (each["spec"]["group"], each["spec"]["names"]["kind"])
            for each in definitions
            if each["kind"] == "CustomResourceDefinition" and each["spec"]["scope"] == "Cluster"
        }
        return cls(CLUSTER_SCOPED | theirs)

    def namespace(self, thing: Json, *, default: str) -> str:
        """Return the namespace that an object goes to, or "" if its kind has none."""
        if group_and_kind(thing) in self.kinds:
            return ""
        return str(thing["metadata"].get("namespace") or default)


def name_of(thing: Json) -> str:
    """Return how a fault names an object."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def pods_of(objects: Iterable[Json]) -> Iterator[tuple[Json, Mapping[str, Any]]]:
    """Yield each workload with the template of its pods."""
    for each in objects:
        if each["kind"] in ("DaemonSet", "Deployment", "Job", "StatefulSet"):
            yield each, each["spec"]["template"]
