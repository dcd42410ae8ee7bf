"""Reads a Workflow the way Argo writes it; pure, and never surprised by what it finds."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from sluice_argo import metadata as marks
from sluice_argo.outcomes import Claim, Outcome, decode_claim, decode_outcome
from sluice_argo.status_nodes import UnreadableNodesError, read_nodes
from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.ids import RunKey, is_run_id, is_tenant, workflow_name
from sluice_contracts.status import Phase
from sluice_status_watcher.domain.lenient_json import as_map, as_text
from sluice_status_watcher.domain.steps import (
    Node,
    is_waiting,
    output_parameters,
    read_steps,
    size_of,
)

__all__ = [
    "MAX_NODES",
    "ForeignWorkflowError",
    "Identity",
    "Lifecycle",
    "WorkflowState",
    "parse_workflow",
    "without_details",
]

Json = dict[str, Any]

_ARGO_PHASES = {
    phase.value: phase
    for phase in (Phase.PENDING, Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.ERROR)
}

MAX_NODES = 10_000
"""Of a Workflow with more than that no steps are told: no record could hold them all."""

_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")


class ForeignWorkflowError(ValueError):
    """A Workflow that bears Sluice's label but is no run of it; the message says why."""


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
class Lifecycle:
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
    claim: Claim | None
    """From the OUTCOME_CLAIM annotation."""
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
class WorkflowState:
    """One state of one Workflow."""

    identity: Identity
    lifecycle: Lifecycle
    sequence: int
    observed_at: datetime
    created_at: datetime | None = None
    started_at: datetime | None = None
    progress: str | None = None
    message: str | None = None
    outputs: dict[str, JsonValue] = field(default_factory=dict)
    steps: tuple[Node, ...] = ()
    size: int = 0
    """Bytes of memory that the details take, by estimate."""
    defect: str | None = None
    """The kind of error that kept something of the above from being read, if one did."""


def parse_workflow(document: Json, *, observed_at: datetime, gone: bool = False) -> WorkflowState:
    """Read one state of a Workflow; `gone` if this is the last one that it had.

    Raises:
        ForeignWorkflowError: it is no run of Sluice's.
    """
    identity = _identity(document["metadata"])
    try:
        return _in_full(document, identity, observed_at=observed_at, gone=gone)
    except Exception as e:  # noqa: BLE001 - whatever is odd about it, somebody waits for its outcome
        lifecycle = _standing(document, {}, gone=gone)
        return WorkflowState(
            identity=identity,
            lifecycle=lifecycle,
            sequence=int(lifecycle.resource_version),
            observed_at=observed_at,
            defect=type(e).__name__,
        )


def without_details(state: WorkflowState, *, defect: str = "left out") -> WorkflowState:
    """Give which run it is and how it stands, without the details; `defect` says why."""
    return replace(state, progress=None, message=None, outputs={}, steps=(), size=0, defect=defect)


def _in_full(
    document: Json, identity: Identity, *, observed_at: datetime, gone: bool
) -> WorkflowState:
    status, defect = as_map(document.get("status")), None
    try:
        nodes = read_nodes(status)
    except UnreadableNodesError as e:
        # The outcome does not depend on them, and somebody waits for it.
        nodes, defect = {}, type(e).__name__
    lifecycle = _standing(document, nodes, gone=gone)
    if len(nodes) > MAX_NODES:
        defect = f"more than {MAX_NODES} nodes"
    steps = () if defect else read_steps(nodes, root=lifecycle.name)
    outputs = output_parameters(status.get("outputs")) or output_parameters(
        nodes.get(lifecycle.name, {}).get("outputs")
    )
    return WorkflowState(
        identity=identity,
        lifecycle=lifecycle,
        sequence=int(lifecycle.resource_version),
        observed_at=observed_at,
        created_at=parse_timestamp(document["metadata"].get("creationTimestamp")),
        started_at=parse_timestamp(status.get("startedAt")),
        progress=as_text(status.get("progress")),
        message=as_text(status.get("message")),
        outputs=outputs,
        steps=steps,
        size=sum(map(size_of, steps)) + len(repr(outputs)),
        defect=defect,
    )


def _identity(meta: Json) -> Identity:
    annotations, labels = as_map(meta.get("annotations")), as_map(meta.get("labels"))
    run_id, tenant = annotations.get(marks.RUN_ID), labels.get(marks.TENANT)
    if not (isinstance(run_id, str) and is_run_id(run_id)):
        raise ForeignWorkflowError(f"annotation {marks.RUN_ID} is no run id")
    if not (isinstance(tenant, str) and is_tenant(tenant)):
        raise ForeignWorkflowError(f"label {marks.TENANT} is no tenant")
    key = RunKey(tenant, run_id)
    if meta["name"] != workflow_name(key):
        # `argo resubmit` copies labels and annotations, `kubectl create` whatever it is given.
        raise ForeignWorkflowError(f"a copy: the Workflow of run {key} is {workflow_name(key)}")
    return Identity(
        key=key,
        uid=meta["uid"],
        name=meta["name"],
        namespace=as_text(meta.get("namespace")),
        workflow=as_text(labels.get(marks.WORKFLOW)),
        fingerprint=as_text(annotations.get(marks.FINGERPRINT)),
        traceparent=as_text(annotations.get(marks.TRACEPARENT)),
    )


def _standing(document: Json, nodes: Json, *, gone: bool) -> Lifecycle:
    meta, status = document["metadata"], as_map(document.get("status"))
    annotations = as_map(meta.get("annotations"))
    deleting = meta.get("deletionTimestamp") is not None
    phase = _phase(document, nodes, deleted=deleting or gone)
    end: tuple[str, JsonValue] | None = None
    if phase.terminal and status.get("finishedAt"):
        end = "/status/finishedAt", status["finishedAt"]
    elif deleting:
        end = "/metadata/deletionTimestamp", meta["deletionTimestamp"]
    attempt = as_text(annotations.get(marks.ATTEMPT)) or ""
    finalizers = meta.get("finalizers")
    return Lifecycle(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        phase=phase,
        finished_at=parse_timestamp(end[1]) if end else None,
        attempt=int(attempt) if _ATTEMPT.fullmatch(attempt) else 1,
        published=decode_outcome(annotations.get(marks.PUBLISHED)),
        claim=decode_claim(annotations.get(marks.OUTCOME_CLAIM)),
        finalizers=tuple(finalizers) if isinstance(finalizers, list) else (),
        deleting=deleting,
        gone=gone,
        end=end,
    )


def _phase(document: Json, nodes: Json, *, deleted: bool) -> Phase:
    """Say how far the run has come.

    It is Suspended when `spec.suspend` holds it as a whole, or when every step that is under way
    is one that waits to be resumed.
    """
    written = as_text(as_map(document.get("status")).get("phase"))
    # A phase that a later Argo may invent is, until we know better, a way of running.
    phase = _ARGO_PHASES.get(written, Phase.RUNNING) if written else Phase.SUBMITTED
    if phase.terminal:
        return phase
    if deleted:
        return Phase.DELETED
    if phase is not Phase.SUBMITTED and as_map(document.get("spec")).get("suspend") is True:
        return Phase.SUSPENDED
    if phase is Phase.RUNNING and is_waiting(nodes):
        return Phase.SUSPENDED
    return phase
