"""What to say of Workflows that went while nobody watched: a list does not hold them any more."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from sluice_argo.outcomes import Outcome
from sluice_contracts.status import Phase
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiError, ApiUnavailableError, NotFoundError
from sluice_status_watcher.domain.transitions import attempt_of, is_published
from sluice_status_watcher.domain.workflow_state import WorkflowState
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup

__all__ = ["DeletionCheck", "MissingWorkflow"]

_log = structlog.get_logger(__name__)

# Requests side by side: a list may miss a thousand Workflows at once.
_LOOKS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingWorkflow:
    """A Workflow that a list did not hold."""

    last: WorkflowState
    """How it was last seen, in brief."""
    outcome: Outcome | None
    """What is known to be told of it."""
    sequence: int
    """Later than all that was told."""


class DeletionCheck:
    """Finds out whether Workflows have gone without anybody telling of their end.

    They are looked into side by side and apart from the workers, which go on meanwhile: one
    reading of the results topic answers for all that wait for it.

    Args:
        workflows: where it is looked whether they are gone.
        doubts: where it is asked whether their end was told.
        answer: hears of each one its last state, None if there is nothing to tell.
        backoff: pauses after failures.
    """

    def __init__(
        self,
        workflows: Workflows,
        doubts: OutcomeLookup,
        *,
        answer: Callable[[str, WorkflowState | None], None],
        backoff: Backoff,
    ) -> None:
        self._workflows = workflows
        self._doubts = doubts
        self._answer = answer
        self._backoff = backoff
        self._missing: asyncio.Queue[MissingWorkflow] = asyncio.Queue()
        self._looks = asyncio.Semaphore(_LOOKS)

    def ask(self, missing: MissingWorkflow) -> None:
        """Have it looked into; the answer comes later."""
        self._missing.put_nowait(missing)

    async def run(self) -> None:
        """Answer for ever.

        Raises:
            ExceptionGroup: a defect; the others have been cancelled.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                missing = await self._missing.get()
                uid = missing.last.lifecycle.uid
                group.create_task(self._look_into(uid, missing), name=f"vanished {uid}")

    async def deleted_state(self, missing: MissingWorkflow) -> WorkflowState | None:
        """Give the state of having been deleted; None if the end is told or it exists still.

        Asked until there is an answer.
        """
        if is_published(missing.last.lifecycle, missing.outcome):
            return None
        failures = 0
        while True:
            try:
                if not await self._has_gone(missing.last) or await self._is_told(missing):
                    return None
            except (ApiUnavailableError, KafkaUnavailableError) as e:
                failures += 1
                pause = self._backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
                _log.warning("cannot tell yet why it is gone", error=str(e), retry_in=pause)
                await asyncio.sleep(pause)
            except ApiError as e:
                _log.warning("not allowed to see whether it is gone", error=str(e))
                return None
            else:
                return _deleted(missing)

    async def _look_into(self, uid: str, missing: MissingWorkflow) -> None:
        self._answer(uid, await self.deleted_state(missing))

    async def _has_gone(self, last: WorkflowState) -> bool:
        """Ask by its name: what has only lost the label that we list by is still there."""
        lifecycle = last.lifecycle
        try:
            async with self._looks:
                document = await self._workflows.get(lifecycle.name)
        except NotFoundError:
            return True
        gone: bool = document["metadata"]["uid"] != lifecycle.uid
        if not gone:
            _log.warning(
                "no longer labelled as ours", run=str(last.identity.key), uid=lifecycle.uid
            )
        return gone

    async def _is_told(self, missing: MissingWorkflow) -> bool:
        """Ask the results topic: another watcher may have seen it go."""
        attempt = attempt_of(missing.last.lifecycle, missing.outcome)
        return await self._doubts.answer(missing.last, attempt=attempt) is not None


def _deleted(missing: MissingWorkflow) -> WorkflowState:
    last = missing.last
    _log.warning("vanished without an outcome", run=str(last.identity.key), uid=last.lifecycle.uid)
    lifecycle = replace(
        last.lifecycle,
        phase=Phase.DELETED,
        finished_at=None,
        end=None,
        # Whatever held it has let it go.
        finalizers=(),
        gone=True,
    )
    return replace(last, lifecycle=lifecycle, sequence=missing.sequence)
