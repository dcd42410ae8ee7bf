"""Parses a Workflow the way Argo writes it; pure, and prepared for any JSON."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from sys import getsizeof
from typing import Any

from pydantic import JsonValue

from sluice_argo import metadata
from sluice_argo.outcomes import MAX_ATTEMPT, Claim, Outcome, decode_claim, decode_outcome
from sluice_argo.request_facts import RequestFacts, decode_request_facts
from sluice_argo.status_nodes import UnreadableNodesError, read_nodes
from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.ids import RunKey, is_run_id, is_tenant, workflow_name
from sluice_contracts.problems import Problem
from sluice_contracts.status import Phase
from sluice_contracts.steps import WaitingStep
from sluice_contracts.tracing import trace_id
from sluice_status_watcher.domain.archived_logs import artifact_bucket
from sluice_status_watcher.domain.lenient_json import as_map, as_text
from sluice_status_watcher.domain.steps import (
    Node,
    is_waiting,
    output_parameters,
    read_steps,
    size_of,
    values_size,
)
from sluice_status_watcher.domain.stopped_pods import problem_of_pods
from sluice_status_watcher.domain.waiting_steps import waiting_steps

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
"""Events of a Workflow with more nodes have no steps: no record could hold them all."""

_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")


class ForeignWorkflowError(ValueError):
    """A Workflow has Sluice's label but is not a run; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The run that a Workflow was created for; never changes."""

    key: RunKey
    uid: str
    name: str
    namespace: str
    workflow: str | None
    fingerprint: str | None
    traceparent: str | None
    request: RequestFacts

    def log_fields(self) -> dict[str, str]:
        """Return what every log line about the run shows."""
        fields = {"run": str(self.key), "uid": self.uid}
        trace = trace_id(self.traceparent)
        return fields | {"trace_id": trace} if trace else fields


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifecycle:
    """The part of a state that attempts, annotations and the finalizer depend on."""

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
    """JSON Pointer to the value that says that the Workflow has ended, and that value."""

    @property
    def has_finalizer(self) -> bool:
        """Whether our finalizer keeps the object."""
        return metadata.FINALIZER in self.finalizers


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
    problem: Problem | None = None
    """What stopped its pods, if it has failed by that."""
    waiting_for: tuple[WaitingStep, ...] = ()
    steps: tuple[Node, ...] = ()
    size: int = 0
    """Estimated bytes of memory that the details take."""
    defect: str | None = None
    """Kind of the error that kept details from being parsed; None if all were."""


def parse_workflow(document: Json, *, observed_at: datetime, gone: bool = False) -> WorkflowState:
    """Parse one state of a Workflow.

    Args:
        document: the object.
        observed_at: when it was received.
        gone: whether the object has been deleted, and this is the last state that it had.

    Raises:
        ForeignWorkflowError: the Workflow is not a run of Sluice.
    """
    identity = _identity(document["metadata"])
    try:
        return _in_full(document, identity, observed_at=observed_at, gone=gone)
    except Exception as e:  # noqa: BLE001 - a malformed Workflow has an outcome all the same
        lifecycle = _standing(document, {}, gone=gone)
        return WorkflowState(
            identity=identity,
            lifecycle=lifecycle,
            sequence=int(lifecycle.resource_version),
            observed_at=observed_at,
            defect=type(e).__name__,
        )


def without_details(state: WorkflowState, *, defect: str = "left out") -> WorkflowState:
    """Return the state with identity and lifecycle only; `defect` says why the rest is missing."""
    return replace(
        state,
        progress=None,
        message=None,
        outputs={},
        problem=None,
        waiting_for=(),
        steps=(),
        size=0,
        defect=defect,
    )


def _in_full(
    document: Json, identity: Identity, *, observed_at: datetime, gone: bool
) -> WorkflowState:
    status, defect = as_map(document.get("status")), None
    try:
        nodes = read_nodes(status)
    except UnreadableNodesError as e:
        # The outcome does not depend on the nodes.
        nodes, defect = {}, type(e).__name__
    lifecycle = _standing(document, nodes, gone=gone)
    if len(nodes) > MAX_NODES:
        defect = f"more than {MAX_NODES} nodes"
    bucket = artifact_bucket(status)
    steps = (
        ()
        if defect
        else read_steps(
            nodes,
            root=lifecycle.name,
            bucket=bucket,
            with_inputs=not identity.request.has_private_parameters,
        )
    )
    outputs = output_parameters(status.get("outputs")) or output_parameters(
        nodes.get(lifecycle.name, {}).get("outputs")
    )
    progress, message = as_text(status.get("progress")), as_text(status.get("message"))
    has_failed = lifecycle.phase in (Phase.FAILED, Phase.ERROR)
    return WorkflowState(
        identity=identity,
        lifecycle=lifecycle,
        sequence=int(lifecycle.resource_version),
        observed_at=observed_at,
        created_at=parse_timestamp(document["metadata"].get("creationTimestamp")),
        started_at=parse_timestamp(status.get("startedAt")),
        progress=progress,
        message=message,
        outputs=outputs,
        problem=problem_of_pods(nodes, message=message) if has_failed else None,
        waiting_for=waiting_steps(nodes) if lifecycle.phase is Phase.SUSPENDED else (),
        steps=steps,
        size=sum(map(size_of, steps))
        + values_size(outputs.items())
        + getsizeof(message)
        + getsizeof(progress),
        defect=defect,
    )


def _identity(meta: Json) -> Identity:
    annotations, labels = as_map(meta.get("annotations")), as_map(meta.get("labels"))
    run_id, tenant = annotations.get(metadata.RUN_ID), labels.get(metadata.TENANT)
    if not (isinstance(run_id, str) and is_run_id(run_id)):
        raise ForeignWorkflowError(f"annotation {metadata.RUN_ID} is not a run id")
    if not (isinstance(tenant, str) and is_tenant(tenant)):
        raise ForeignWorkflowError(f"label {metadata.TENANT} is not a tenant")
    key = RunKey(tenant, run_id)
    if meta["name"] != workflow_name(key):
        # `argo resubmit` copies labels and annotations; so may `kubectl create`.
        raise ForeignWorkflowError(f"a copy: the Workflow of run {key} is {workflow_name(key)}")
    return Identity(
        key=key,
        uid=meta["uid"],
        name=meta["name"],
        namespace=meta["namespace"],
        workflow=as_text(labels.get(metadata.WORKFLOW)),
        fingerprint=as_text(annotations.get(metadata.FINGERPRINT)),
        traceparent=as_text(annotations.get(metadata.TRACEPARENT)),
        request=decode_request_facts(annotations),
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
    attempt = as_text(annotations.get(metadata.ATTEMPT)) or ""
    finalizers = meta.get("finalizers")
    return Lifecycle(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        phase=phase,
        finished_at=parse_timestamp(end[1]) if end else None,
        attempt=int(attempt) if _ATTEMPT.fullmatch(attempt) else 1,
        published=_published(annotations),
        claim=decode_claim(annotations.get(metadata.OUTCOME_CLAIM)),
        finalizers=tuple(finalizers) if isinstance(finalizers, list) else (),
        deleting=deleting,
        gone=gone,
        end=end,
    )


def _published(annotations: Json) -> Outcome | None:
    outcome = decode_outcome(annotations.get(metadata.PUBLISHED))
    # No attempt could follow the last one, so only a forged mark is of that.
    return outcome if outcome is not None and outcome.attempt < MAX_ATTEMPT else None


def _phase(document: Json, nodes: Json, *, deleted: bool) -> Phase:
    """Return the phase of the run.

    A run is Suspended if `spec.suspend` suspends all of it, or if all steps under way are suspend
    steps.
    """
    written = as_text(as_map(document.get("status")).get("phase"))
    # A phase that a later Argo may add counts as running.
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
