"""Changes one Workflow at a time on the API server; what does not work is tried again later."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)
from sluice_status_watcher.domain.tracked_workflow import Run
from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError, WorkflowState
from sluice_status_watcher.handlers.alarms import Alarms
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.services.workflow_parsing import parse_workflow_aside

__all__ = ["ApiWorkflowClient"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]


class ApiWorkflowClient:
    """Patches and reads; both give the object as it is then, None if that is not known.

    After a failure an alarm is set to look at the object again.
    """

    def __init__(
        self,
        workflows: Workflows,
        alarms: Alarms[str],
        *,
        metrics: Metrics,
        backoff: Backoff,
        now: Callable[[], datetime],
    ) -> None:
        self._workflows = workflows
        self._alarms = alarms
        self._metrics = metrics
        self._backoff = backoff
        self._now = now

    async def patch(self, uid: str, run: Run, operations: Sequence[Json]) -> WorkflowState | None:
        """Change the object; after a conflict it is read, and patched at the next look."""
        lifecycle = run.lifecycle
        if lifecycle is None:
            return None
        try:
            document = await self._workflows.patch(lifecycle.name, operations)
        except ConflictError:
            self._metrics.patch_failures.labels("conflict").inc()
            run.failures += 1
            if run.failures == 1:
                return await self.read(uid, run)
            self.later(uid, run)
            return None
        except (ApiError, ApiUnavailableError) as e:
            self._failed(uid, run, e, doing="patch")
            return None
        run.failures = 0
        return await self._observed(document)

    async def read(self, uid: str, run: Run) -> WorkflowState | None:
        """Read the object anew."""
        if run.lifecycle is None:
            return None
        try:
            document = await self._workflows.get(run.lifecycle.name)
        except (ApiError, ApiUnavailableError) as e:
            self._failed(uid, run, e, doing="read")
            return None
        if document["metadata"]["uid"] != uid:
            return None
        run.stale = False
        return await self._observed(document)

    def later(self, uid: str, run: Run, *, at_least: float = 0.0) -> float:
        """Look again after a pause, the longer the more has failed; gives the time of that."""
        pause = self._backoff.delay(run.failures, at_least=at_least)
        at = asyncio.get_running_loop().time() + pause
        self.look_again(uid, run, at=at)
        return at

    def look_again(self, uid: str, run: Run, *, at: float) -> None:
        """Read the object anew at this time of the loop's clock."""
        run.stale = True
        self._alarms.set(uid, at=at)

    async def _observed(self, document: Json) -> WorkflowState | None:
        try:
            return await parse_workflow_aside(document, observed_at=self._now())
        except ForeignWorkflowError:
            # Somebody has taken its marks away meanwhile.
            return None

    def _failed(
        self, uid: str, run: Run, error: ApiError | ApiUnavailableError, *, doing: str
    ) -> None:
        run.failures += 1
        # The patch may have been made all the same, and others may be luckier.
        run.doubtful = True
        # What is not there is forgotten when the watch says so, lest its last state be told again.
        if not isinstance(error, NotFoundError):
            unavailable = isinstance(error, ApiUnavailableError)
            self._metrics.patch_failures.labels("unavailable" if unavailable else "refused").inc()
            _log.warning(f"could not {doing} the Workflow", uid=uid, error=str(error))
        self.later(uid, run, at_least=getattr(error, "retry_after", 0.0))
