"""Workflows as the dispatcher creates them and Argo fills them in."""

import json
from typing import Any

from sluice_argo import metadata
from sluice_contracts.ids import RunKey, workflow_name

Json = dict[str, Any]

STARTED = "2026-01-01T00:00:10Z"
FINISHED = "2026-01-01T00:05:00Z"
FINISHED_AGAIN = "2026-01-01T00:45:00Z"


def name_of(run_id: str) -> str:
    """Return the name of the Workflow of a run."""
    return workflow_name(RunKey("default", run_id))


def manifest(run_id: str = "order-1", **more: Any) -> Json:
    """Return a Workflow as the dispatcher creates it."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name_of(run_id),
            "labels": {
                metadata.MANAGED_BY: metadata.MANAGED_BY_VALUE,
                metadata.TENANT: "default",
                metadata.WORKFLOW: "hello",
            },
            "annotations": {
                metadata.RUN_ID: run_id,
                metadata.FINGERPRINT: "f" * 64,
                metadata.TRACEPARENT: "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            },
            "finalizers": [metadata.FINALIZER],
        },
        "spec": {"entrypoint": "main"},
        **more,
    }


def stored(run_id: str = "order-1", *, version: int = 7, **more: Any) -> Json:
    """Return a Workflow as the API server returns it."""
    document = manifest(run_id, **more)
    document["metadata"] |= {
        "uid": f"uid-of-{run_id}",
        "namespace": "argo",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return document


def node(node_id: str, *, phase: str, kind: str = "Pod", **more: Any) -> Json:
    """Return one node of a status."""
    return {
        "id": node_id,
        "name": f"run.{node_id}",
        "displayName": node_id,
        "type": kind,
        "templateName": "main",
        "phase": phase,
        "startedAt": STARTED,
        **more,
    }


def nodes(*entries: Json) -> Json:
    """Return the nodes by id."""
    return {entry["id"]: entry for entry in entries}


def line(kind: str, document: Json) -> bytes:
    """Return one line of a watch."""
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"
