"""The three services as a cluster runs them: restricted pods under accounts of their own."""

from collections.abc import Iterator, Mapping
from typing import Any

from sluice_contracts.topics import TopicNames
from testbed.cluster.namespaces import SLUICE, account_of
from testbed.docker.service_image import tag_of

Manifest = dict[str, Any]

HTTP_PORT = 8080
HEALTH_PORTS = {"gateway": 8090, "dispatcher": 8091, "status-watcher": 8092}
GATEWAY = "gateway"
_NOBODY = 65532


def labels_of(service: str) -> dict[str, str]:
    """Return what a service's pods are found by."""
    return {"app.kubernetes.io/name": f"sluice-{service}"}


def service_manifests(
    *, bootstrap_servers: str, topics: TopicNames, namespace: str
) -> Iterator[Manifest]:
    """Give the Deployments of the three services, and the gateway's Service.

    Their runs live in ``namespace``, they themselves where their accounts do.
    """
    told = {
        "SLUICE_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "SLUICE_KAFKA__REPLICATION_FACTOR": "1",
        **{
            f"SLUICE_KAFKA__TOPICS__{name.upper()}": topic
            for name, topic in topics.model_dump().items()
        },
    }
    in_cluster = {**told, "SLUICE_KUBERNETES__NAMESPACE": namespace}
    group = {"SLUICE_DISPATCH__GROUP": f"{topics.requests}.dispatcher"}
    yield _deployment(GATEWAY, told, account=None)
    yield _deployment("dispatcher", {**in_cluster, **group}, account=account_of("dispatcher"))
    yield _deployment("status-watcher", in_cluster, account=account_of("status-watcher"))
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": GATEWAY, "namespace": SLUICE},
        "spec": {"selector": labels_of(GATEWAY), "ports": [{"port": HTTP_PORT}]},
    }


def _deployment(service: str, told: Mapping[str, str], *, account: str | None) -> Manifest:
    labels = labels_of(service)
    pod = {
        "automountServiceAccountToken": account is not None,
        **({"serviceAccountName": account} if account else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(service, told)],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": service, "namespace": SLUICE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _container(service: str, told: Mapping[str, str]) -> Manifest:
    def probe(path: str) -> Manifest:
        asked = {"path": path, "port": HEALTH_PORTS[service]}
        # A node that is busy with many tests may take long to turn to this pod.
        return {"httpGet": asked, "periodSeconds": 2, "timeoutSeconds": 10}

    return {
        "name": "main",
        "image": tag_of(service),
        "imagePullPolicy": "Never",
        "env": [{"name": name, "value": value} for name, value in told.items()],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # Without a request, a pod gets what all others leave.
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "256Mi"},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/sluice"}],
        # Until every node has heard that this pod is no longer asked.
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
        "livenessProbe": probe("/livez"),
        "readinessProbe": probe("/readyz"),
    }
