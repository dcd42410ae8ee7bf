"""Reads a Workflow the way Argo writes it; pure, and never surprised by what it finds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from sluice_contracts import metadata as marks
from sluice_contracts.ids import RunKey, is_run_id, is_tenant
from sluice_contracts.status import Phase
from sluice_runtime.kubernetes.nodes import UnreadableNodesError, read_nodes
from sluice_status_watcher.nodes import Node, is_waiting, output_parameters, read_steps
from sluice_status_watcher.outcomes import Outcome, parse_mark, parse_time

__all__ = ["ForeignWorkflowError", "Identity", "Observed", "Standing", "observe"]

Json = dict[str, Any]

_ARGO_PHASES = {
    phase.value: phase
    for phase in (Phase.PENDING, Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.ERROR)
}


class ForeignWorkflowError(ValueError):
    """A Workflow that bears Sluice's label but not the marks of a run; the message says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which run a Workflow is; never changes."""

    key: RunKey
    uid: str
    name: str
    namespace: str | None
    workflow: str | None
    fingerprint: str | None
    traceparent: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a Workflow stands: all that its attempt, its marks and its release depend on."""

    name: str
    uid: str
    resource_version: str
    phase: Phase
    finished_at: datetime | None
    attempt: int
    """From the ATTEMPT annotation."""
    published: Outcome | None
    """From the PUBLISHED annotation."""
    finalizers: tuple[str, ...]
    deleting: bool
    gone: bool
    end: tuple[str, JsonValue] | None
    """Where the object says that it has ended (JSON Pointer), and its words for it."""

    @property
    def held(self) -> bool:
        """Tell whether our finalizer keeps the object."""
        return marks.FINALIZER in self.finalizers


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """One state of one Workflow."""

    identity: Identity
    standing: Standing
    sequence: int
    observed_at: datetime
    created_at: datetime | None
    started_at: datetime | None
    progress: str | None
    message: str | None
    outputs: dict[str, JsonValue]
    steps: tuple[Node, ...]


def observe(document: Json, *, observed_at: datetime, gone: bool = False) -> Observed:
    """Read one state of a Workflow; `gone` if this is the last one that it had.

    Raises:
        ForeignWorkflowError: it is no run of Sluice's.
    """
    meta = document["metadata"]
    status = _map(document.get("status"))
    try:
        nodes = _map(read_nodes(status))
    except UnreadableNodesError:
        # The outcome does not depend on them, and somebody waits for it.
        nodes = {}
    standing = _standing(document, nodes, gone=gone)
    root = nodes.get(standing.name)
    return Observed(
        identity=_identity(meta),
        standing=standing,
        sequence=int(standing.resource_version),
        observed_at=observed_at,
        created_at=parse_time(meta.get("creationTimestamp")),
        started_at=parse_time(status.get("startedAt")),
        progress=_text(status.get("progress")),
        message=_text(status.get("message")),
        outputs=output_parameters(status.get("outputs"))
        or output_parameters(_map(root).get("outputs")),
        steps=read_steps(nodes, root=standing.name),
    )


def _identity(meta: Json) -> Identity:
    annotations, labels = _map(meta.get("annotations")), _map(meta.get("labels"))
    run_id, tenant = annotations.get(marks.RUN_ID), labels.get(marks.TENANT)
    if not (isinstance(run_id, str) and is_run_id(run_id)):
        raise ForeignWorkflowError(f"annotation {marks.RUN_ID} is no run id")
    if not (isinstance(tenant, str) and is_tenant(tenant)):
        raise ForeignWorkflowError(f"label {marks.TENANT} is no tenant")
    return Identity(
        key=RunKey(tenant, run_id),
        uid=meta["uid"],
        name=meta["name"],
        namespace=_text(meta.get("namespace")),
        workflow=_text(labels.get(marks.WORKFLOW)),
        fingerprint=_text(annotations.get(marks.FINGERPRINT)),
        traceparent=_text(annotations.get(marks.TRACEPARENT)),
    )


def _standing(document: Json, nodes: Json, *, gone: bool) -> Standing:
    meta, status = document["metadata"], _map(document.get("status"))
    annotations = _map(meta.get("annotations"))
    deleting = meta.get("deletionTimestamp") is not None
    phase = _phase(document, nodes, deleted=deleting or gone)
    end: tuple[str, JsonValue] | None = None
    if phase.terminal and status.get("finishedAt"):
        end = "/status/finishedAt", status["finishedAt"]
    elif deleting:
        end = "/metadata/deletionTimestamp", meta["deletionTimestamp"]
    attempt = str(annotations.get(marks.ATTEMPT, "1"))
    return Standing(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        phase=phase,
        finished_at=parse_time(end[1]) if end else None,
        attempt=max(1, int(attempt)) if attempt.isdecimal() else 1,
        published=parse_mark(annotations.get(marks.PUBLISHED)),
        finalizers=tuple(meta.get("finalizers") or ()),
        deleting=deleting,
        gone=gone,
        end=end,
    )


def _phase(document: Json, nodes: Json, *, deleted: bool) -> Phase:
    """Say how far the run has come.

    It is Suspended when `spec.suspend` holds it as a whole, or when every step that is under way
    is one that waits to be resumed.
    """
    written = _text(_map(document.get("status")).get("phase"))
    # A phase that a later Argo may invent is, until we know better, a way of running.
    phase = _ARGO_PHASES.get(written, Phase.RUNNING) if written else Phase.SUBMITTED
    if phase.terminal:
        return phase
    if deleted:
        return Phase.DELETED
    if phase is not Phase.SUBMITTED and _map(document.get("spec")).get("suspend") is True:
        return Phase.SUSPENDED
    if phase is Phase.RUNNING and is_waiting(nodes):
        return Phase.SUSPENDED
    return phase


def _map(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return str(value) if value else None
