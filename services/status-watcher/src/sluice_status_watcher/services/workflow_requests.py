"""Makes requests for a tracked Workflow, and decides when a failed one is made again."""

import asyncio
from collections.abc import Sequence

import structlog

from sluice_argo.json_patch import Operation
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)
from sluice_status_watcher.domain.tracked_workflow import TrackedWorkflow
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import WorkflowClient

__all__ = ["Answer", "WorkflowRequests"]

_log = structlog.get_logger(__name__)

Answer = tuple[TrackedWorkflow, WorkflowState | None]
"""What is known after a request, and the state of the object then; None if that is unknown."""


class WorkflowRequests:
    """Reads and patches; after a failure `retry_at` says when to try again."""

    def __init__(self, client: WorkflowClient, *, metrics: Metrics, backoff: Backoff) -> None:
        self._client = client
        self._metrics = metrics
        self._backoff = backoff

    async def patch(
        self, tracked: TrackedWorkflow, state: WorkflowState, operations: Sequence[Operation]
    ) -> Answer:
        """Patch the object; after a first conflict it is read instead."""
        try:
            newer = await self._client.patch(state, operations)
        except ConflictError:
            self._metrics.patch_failures.labels("conflict").inc()
            tracked = tracked.conflicted()
            if tracked.failures == 1:
                return await self.read(tracked, state)
            return self._retrying(tracked), None
        except (ApiError, ApiUnavailableError) as e:
            return self._failed(tracked, state, e), None
        return tracked.patched(), newer

    async def read(self, tracked: TrackedWorkflow, state: WorkflowState) -> Answer:
        """Read the object."""
        try:
            newer = await self._client.read(state)
        except (ApiError, ApiUnavailableError) as e:
            return self._failed(tracked, state, e), None
        return tracked, newer

    def _failed(
        self, tracked: TrackedWorkflow, state: WorkflowState, error: ApiError | ApiUnavailableError
    ) -> TrackedWorkflow:
        # The watch says when an object is gone: it alone knows whether that needs an event.
        if not isinstance(error, NotFoundError):
            reason = "unavailable" if isinstance(error, ApiUnavailableError) else "refused"
            self._metrics.patch_failures.labels(reason).inc()
            _log.warning("request failed", error=str(error), **state.identity.log_fields())
        return self._retrying(tracked.failed(), at_least=getattr(error, "retry_after", 0.0))

    def _retrying(self, tracked: TrackedWorkflow, *, at_least: float = 0.0) -> TrackedWorkflow:
        pause = self._backoff.delay(tracked.failures, at_least=at_least)
        return tracked.retrying(at=asyncio.get_running_loop().time() + pause)
