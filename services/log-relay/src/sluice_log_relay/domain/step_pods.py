"""Which pod runs a step of a run, whether a pod is really that one, and how far it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from sluice_argo.pod_names import pod_names
from sluice_contracts.ids import RunKey, workflow_name

__all__ = ["ContainerState", "LogRange", "StepOfRun", "container_state", "is_pod_of"]

_CONTAINER: Final = "main"
_WORKFLOW: Final = "workflows.argoproj.io/workflow"
_NODE_ID: Final = "workflows.argoproj.io/node-id"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_OVER: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, kw_only=True)
class LogRange:
    """The last `tail` lines of those since a second; None for all, and for since the beginning."""

    tail: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StepOfRun:
    """A step, by its node id; `uid` and `namespace` are those of the run's Workflow."""

    key: RunKey
    namespace: str
    uid: str
    node_id: str
    template: str | None

    @property
    def workflow(self) -> str:
        """The name of the Workflow, derived here, so that no other one can be meant."""
        return workflow_name(self.key)

    @property
    def pods(self) -> tuple[str, ...]:
        """The names that the pod can have; none if the node is not of this Workflow."""
        if self.node_id != self.workflow and not self.node_id.startswith(f"{self.workflow}-"):
            return ()
        names = pod_names(self.workflow, node_id=self.node_id, template=self.template)
        return tuple(name for name in names if _NAME.fullmatch(name))


class ContainerState(Enum):
    """How far the container of a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    NEVER_STARTED = "never started"

    @property
    def has_log(self) -> bool:
        """Whether it has begun to write."""
        return self in (ContainerState.RUNNING, ContainerState.ENDED)

    @property
    def is_over(self) -> bool:
        """Whether nothing is written any more."""
        return self in (ContainerState.ENDED, ContainerState.NEVER_STARTED)


def is_pod_of(step: StepOfRun, pod: Mapping[str, Any]) -> bool:
    """Return whether Argo has made the pod for this step of this very Workflow."""
    meta = pod.get("metadata") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    owners = meta.get("ownerReferences") or ()
    return (
        labels.get(_WORKFLOW) == step.workflow
        and annotations.get(_NODE_ID) == step.node_id
        and any(
            owner.get("kind") == "Workflow"
            and str(owner.get("apiVersion")).startswith("argoproj.io/")
            and (owner.get("name"), owner.get("uid")) == (step.workflow, step.uid)
            for owner in owners
        )
    )


def container_state(pod: Mapping[str, Any]) -> ContainerState:
    """Return how far the container of the step is."""
    status = pod.get("status") or {}
    found = next(
        (
            each.get("state") or {}
            for each in status.get("containerStatuses") or ()
            if each.get("name") == _CONTAINER
        ),
        {},
    )
    if "running" in found:
        return ContainerState.RUNNING
    if "terminated" in found:
        return ContainerState.ENDED
    is_over = status.get("phase") in _OVER
    return ContainerState.NEVER_STARTED if is_over else ContainerState.WAITING
