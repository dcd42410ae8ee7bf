"""A stand-in for the API server's pods and logs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sluice_log_relay.domain.step_pods import LogRange, StepOfRun
from sluice_log_relay.ports import PodsUnavailableError

__all__ = ["FakePods", "pod_of"]


def pod_of(step: StepOfRun, state: str = "running", *, uid: str | None = None) -> dict[str, Any]:
    """Return the pod that Argo makes for a step."""
    return {
        "metadata": {
            "name": step.pods[0],
            "labels": {"workflows.argoproj.io/workflow": step.workflow},
            "annotations": {"workflows.argoproj.io/node-id": step.node_id},
            "ownerReferences": [
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Workflow",
                    "name": step.workflow,
                    "uid": uid or step.uid,
                }
            ],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "wait", "state": {"running": {}}},
                {"name": "main", "state": {state: {}}},
            ],
        },
    }


@dataclass
class FakePods:
    """Pods by namespace and name, and what their containers write; None is an interruption."""

    pods: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    opened: list[tuple[str, LogRange, bool]] = field(default_factory=list)
    coming: list[dict[str, Any] | None] = field(default_factory=list)
    """What the next looks find instead."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a log is not read any more."""
    looks: int = 0
    unavailable: bool = False
    open_now: int = 0

    async def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a pod."""
        self.looks += 1
        if self.unavailable:
            raise PodsUnavailableError("GET: 503")
        return self.coming.pop(0) if self.coming else self.pods.get((namespace, name))

    @asynccontextmanager
    async def log(
        self, namespace: str, name: str, part: LogRange, *, follow: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield what was put into `lines`, up to an empty piece."""
        if self.unavailable or (namespace, name) not in self.pods:
            raise PodsUnavailableError("GET: 503")
        self.opened.append((name, part, follow))
        self.open_now += 1
        try:
            yield self._chunks()
        finally:
            self.open_now -= 1
            self.left.set()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.lines.get():
            yield chunk
        if chunk is None:
            raise PodsUnavailableError("GET: ClientPayloadError")
