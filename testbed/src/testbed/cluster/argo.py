"""Argo Workflows: its controller's command line and configuration, and the store of artifacts."""

import json
from pathlib import Path
from typing import Any

from testbed.machine.addresses import NODE, STORE_ENDPOINT, STORE_PORT
from testbed.machine.processes import Program

NAMESPACE = "argo"
BUCKET = "artifacts"
STORE_SECRET = "artifact-store"
_CONFIG_MAP = "workflow-controller-configmap"
# Keys of a store that is only reachable from this machine.
STORE_USER = "testbed"
STORE_PASSWORD = "testbed-secret"
_RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def executor_image(line: str) -> str:
    """Return the name of the executor's image of a line of Argo."""
    return f"localhost/argoexec:{line}"


def controller(program: Path, *, line: str, kubeconfig: Path) -> Program:
    """Return how the controller is run."""
    return Program(
        name="workflow-controller",
        command=[
            program,
            *("--kubeconfig", kubeconfig, "--namespace", NAMESPACE),
            *("--executor-image", executor_image(line), "--executor-image-pull-policy", "Never"),
            *("--qps", "200", "--burst", "300", "--loglevel", "info"),
        ],
        environment={
            "LEADER_ELECTION_DISABLE": "true",
            # On one machine, informers are never ten seconds behind, as in a large cluster.
            "DEFAULT_REQUEUE_TIME": "1s",
        },
    )


def store(program: Path, *, data: Path) -> Program:
    """Return how the S3-compatible store is run: a bucket is a folder in ``data``."""
    return Program(
        name="artifact-store",
        command=[program, "--port", f"{NODE}:{STORE_PORT}", "posix", data],
        environment={"ROOT_ACCESS_KEY": STORE_USER, "ROOT_SECRET_KEY": STORE_PASSWORD},
    )


def configuration(**more: str) -> dict[str, Any]:
    """Return the controller's ConfigMap; ``more`` are further entries of it, as YAML."""
    repository = {
        "archiveLogs": True,
        "s3": {
            "bucket": BUCKET,
            "endpoint": STORE_ENDPOINT,
            "insecure": True,
            "accessKeySecret": {"name": STORE_SECRET, "key": "user"},
            "secretKeySecret": {"name": STORE_SECRET, "key": "password"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _CONFIG_MAP, "namespace": NAMESPACE},
        "data": {
            "artifactRepository": json.dumps(repository),
            # Argo's own containers must pass restricted Pod Security, too.
            "executor": json.dumps({"securityContext": _RESTRICTED}),
            **more,
        },
    }
