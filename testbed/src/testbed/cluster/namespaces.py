"""The objects that the charts would create: the services' accounts, and namespaces for runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from testbed.cluster.argo import STORE_PASSWORD, STORE_SECRET, STORE_USER

SLUICE = "sluice"
EXECUTOR = "sluice-executor"
SERVICES = ("dispatcher", "status-watcher", "log-relay")
_RBAC = "rbac.authorization.k8s.io"

Manifest = dict[str, Any]


def account_of(service: str) -> str:
    """Return the ServiceAccount that a service runs as."""
    return f"sluice-{service}"


def sluice_manifests(*, rules: Path) -> list[Manifest]:
    """Return the namespace that the services live in, their accounts, and what is the cluster's.

    ``rules`` is the folder of the charts' rules.
    """
    return [
        restricted_namespace(SLUICE),
        *(_account(account_of(service), namespace=SLUICE) for service in SERVICES),
        *_role(
            _account(account_of("status-watcher"), namespace=SLUICE),
            rules / "status-watcher-lease.yaml",
            namespace=SLUICE,
            ending="-lease",
        ),
        *_cluster_role("status-watcher", rules / "status-watcher-release.yaml"),
    ]


def namespace_manifests(namespace: str, *, rules: Path) -> list[Manifest]:
    """Return a namespace for runs, and the rights of each account there."""
    executor = _account(EXECUTOR, namespace=namespace)
    return [
        restricted_namespace(namespace),
        executor,
        *_role(executor, rules / "executor.yaml", namespace=namespace),
        # Steps get no token; Argo mounts this one only into its own containers.
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": f"{EXECUTOR}.service-account-token",
                "namespace": namespace,
                "annotations": {"kubernetes.io/service-account.name": EXECUTOR},
            },
        },
        store_secret(namespace),
        *(
            manifest
            for service in SERVICES
            for manifest in _role(
                _account(account_of(service), namespace=SLUICE),
                rules / f"{service}.yaml",
                namespace=namespace,
            )
        ),
    ]


def slots_manifests(namespace: str, *, rules: Path) -> list[Manifest]:
    """Return what the dispatcher needs as well if a workflow limits the live runs of a key."""
    account = _account(account_of("dispatcher"), namespace=SLUICE)
    return list(
        _role(account, rules / "dispatcher-slots.yaml", namespace=namespace, ending="-slots")
    )


def store_secret(namespace: str) -> Manifest:
    """Return the keys of the store of artifacts, which runs in a namespace need."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": STORE_SECRET, "namespace": namespace},
        "stringData": {"user": STORE_USER, "password": STORE_PASSWORD},
    }


def restricted_namespace(name: str) -> Manifest:
    """Return a namespace that only admits pods of the restricted standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }


def _account(name: str, *, namespace: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _role(
    account: Manifest, rules: Path, *, namespace: str, ending: str = ""
) -> Iterator[Manifest]:
    metadata = {"name": f"{account['metadata']['name']}{ending}", "namespace": namespace}
    yield _granting("Role", metadata, rules)
    yield _binding("Role", metadata, account)


def _cluster_role(service: str, rules: Path) -> Iterator[Manifest]:
    metadata = {"name": f"sluice-{rules.stem}"}
    yield _granting("ClusterRole", metadata, rules)
    yield _binding("ClusterRole", metadata, _account(account_of(service), namespace=SLUICE))


def _granting(kind: str, metadata: Manifest, rules: Path) -> Manifest:
    granted = yaml.safe_load(rules.read_text("utf-8"))
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": granted}


def _binding(kind: str, metadata: Manifest, account: Manifest) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", **account["metadata"]}],
    }
