"""A namespace that runs can live in: accounts, Roles and Secrets, as the charts ship them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from testbed.cluster.argo import STORE_PASSWORD, STORE_SECRET, STORE_USER

EXECUTOR = "sluice-executor"
SERVICES = ("dispatcher", "status-watcher")


def account_of(service: str) -> str:
    """Return the ServiceAccount that a service runs as."""
    return f"sluice-{service}"


def namespace_manifests(namespace: str, *, rules: Path) -> list[dict[str, Any]]:
    """Return the manifests of a namespace; ``rules`` holds the charts' rules of each Role."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        *_role(namespace, EXECUTOR, rules / "executor.yaml"),
        # Steps get no token; Argo mounts this one into its own containers alone.
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
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": STORE_SECRET, "namespace": namespace},
            "stringData": {"user": STORE_USER, "password": STORE_PASSWORD},
        },
        *(
            manifest
            for service in SERVICES
            for manifest in _role(namespace, account_of(service), rules / f"{service}.yaml")
        ),
    ]


def _role(namespace: str, account: str, rules: Path) -> Iterator[dict[str, Any]]:
    metadata = {"name": account, "namespace": namespace}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    group = "rbac.authorization.k8s.io"
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": yaml.safe_load(rules.read_text("utf-8")),
    }
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
