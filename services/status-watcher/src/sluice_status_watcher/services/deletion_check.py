"""Finds out what became of Workflows that a list or a watch does not show any more."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from sluice_argo.outcomes import Outcome
from sluice_contracts.status import Phase
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, NotFoundError
from sluice_runtime.retry import retry_forever
from sluice_status_watcher.domain.transitions import attempt_of, is_published
from sluice_status_watcher.domain.work_item import Forgotten
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.ports import Scheduler, Workflows
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup

__all__ = ["DeletionCheck", "MissingWorkflow"]

_log = structlog.get_logger(__name__)

# A list may lack a thousand Workflows at once.
_CONCURRENT_REQUESTS = 16


@dataclass(frozen=True, slots=True)
class MissingWorkflow:
    """A Workflow that a list did not hold, or that a watch has reported as deleted."""

    last: WorkflowState
    """Its last state, without details."""
    outcome: Outcome | None
    """The last outcome known to be published."""
    sequence: int
    """Greater than that of every event published, and not less than that of `last`."""


class DeletionCheck:
    """Checks whether missing Workflows were deleted before their outcome was published.

    The checks run side by side and apart from the work queue, which goes on meanwhile. One read of
    the results topic answers all that wait for it.

    Args:
        workflows: where to look whether the object is gone, of each namespace.
        lookup: where to look whether its outcome is published.
        scheduler: receives the last state of each Workflow, or Forgotten.
        backoff: pauses after failures.
    """

    def __init__(
        self,
        workflows: Iterable[Workflows],
        lookup: OutcomeLookup,
        scheduler: Scheduler,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._within = {each.namespace: each for each in workflows}
        self._lookup = lookup
        self._scheduler = scheduler
        self._backoff = backoff or Backoff()
        self._missing: asyncio.Queue[MissingWorkflow] = asyncio.Queue()
        self._requests = asyncio.Semaphore(_CONCURRENT_REQUESTS)

    def start(self, missing: MissingWorkflow) -> None:
        """Have a Workflow checked; the scheduler receives the result."""
        self._missing.put_nowait(missing)

    async def run(self) -> None:
        """Run the checks, without end.

        Raises:
            ExceptionGroup: a defect; the other checks have been cancelled.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                missing = await self._missing.get()
                uid = missing.last.lifecycle.uid
                group.create_task(self._check(uid, missing), name=f"deletion check {uid}")

    async def deleted_state(self, missing: MissingWorkflow) -> WorkflowState | None:
        """Return the last state of a deleted Workflow; None if it exists or its end is published.

        It is the end that was seen last, or else Deleted.
        Repeated until there is a clear answer.
        """
        if is_published(missing.last.lifecycle, missing.outcome):
            return None

        async def needs_event() -> bool:
            return await self._is_gone(missing.last) and not await self._is_published(missing)

        def on_retry(error: Exception, pause: float) -> None:
            fields = missing.last.identity.log_fields()
            _log.warning("deletion check failed", error=str(error), retry_in=pause, **fields)

        try:
            gone_unpublished = await retry_forever(
                needs_event,
                on=(ApiUnavailableError, KafkaUnavailableError),
                backoff=self._backoff,
                on_retry=on_retry,
            )
        except ApiError as e:
            fields = missing.last.identity.log_fields()
            _log.warning("deletion check refused", error=str(e), **fields)
            return None
        return _last_state(missing) if gone_unpublished else None

    async def _check(self, uid: str, missing: MissingWorkflow) -> None:
        state = await self.deleted_state(missing)
        self._scheduler.add_now(uid, state or Forgotten(missing.sequence))

    async def _is_gone(self, last: WorkflowState) -> bool:
        """Read the object by its name: it may exist, and only lack the label of the list."""
        lifecycle = last.lifecycle
        try:
            async with self._requests:
                document = await self._within[last.identity.namespace].get(lifecycle.name)
        except NotFoundError:
            return True
        gone: bool = document["metadata"]["uid"] != lifecycle.uid
        if not gone:
            _log.warning("Workflow lost its label", **last.identity.log_fields())
        return gone

    async def _is_published(self, missing: MissingWorkflow) -> bool:
        """Search the results topic: another watcher may have seen the deletion."""
        attempt = attempt_of(missing.last.lifecycle, missing.outcome)
        return await self._lookup.find_published(missing.last, attempt=attempt) is not None


def _last_state(missing: MissingWorkflow) -> WorkflowState:
    last = missing.last
    _log.warning("workflow deleted without outcome", **last.identity.log_fields())
    # An object cannot be gone before its finalizers are.
    lifecycle = replace(last.lifecycle, finalizers=(), gone=True)
    if not lifecycle.phase.terminal:
        lifecycle = replace(lifecycle, phase=Phase.DELETED, finished_at=None, end=None)
    return replace(last, lifecycle=lifecycle, sequence=missing.sequence)
