"""Executing commands on runs that exist."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sluice_argo import metadata
from sluice_argo.ownership import belongs_to
from sluice_argo.status_nodes import has_many_nodes
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import ReceivedCommand
from sluice_contracts.requests import RetryCommand
from sluice_dispatcher.domain.applied_commands import was_applied
from sluice_dispatcher.domain.command_patch import plan_change
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_dispatcher.domain.workflow_change import InapplicableCommandError, WorkflowChange
from sluice_dispatcher.ports import Ledger
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_dispatcher.services.queued_runs import STOPPING
from sluice_dispatcher.services.rejection import Rejection
from sluice_dispatcher.services.retry_slots import RetrySlots
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
)

__all__ = ["CommandExecution"]

_PODS_AT_A_TIME: Final = 16
# For a pod to be gone, from the caches of Argo's controller as well.
_POD_IS_GONE_S: Final = 2.0


class CommandExecution:
    """Reads a run's Workflow and patches it; starts over if it changed in between."""

    def __init__(
        self,
        *,
        workflows: RunWorkflows,
        ledger: Ledger,
        rejection: Rejection,
        calls: BoundedCalls,
        slots: RetrySlots,
        builder: WorkflowBuilder,
        now: Callable[[], datetime],
    ) -> None:
        self._workflows = workflows
        self._ledger = ledger
        self._rejection = rejection
        self._calls = calls
        self._slots = slots
        self._builder = builder
        self._now = now

    async def execute(self, record: IncomingRecord, received: ReceivedCommand) -> Verdict:
        """Execute one command, exactly once however often it is delivered."""
        refusal = await self._calls.run(
            lambda: self._apply(record, received), name=received.command.type
        )
        if refusal is None:
            return Verdict.APPLIED
        # A command that came too late was valid when it was sent: no dead letter.
        valid = refusal.type is ProblemType.NOT_APPLICABLE
        publish = self._rejection.notify if valid else self._rejection.refuse
        await publish(record, refusal, key=received.key, traceparent=received.traceparent)
        return Verdict.REFUSED

    async def _apply(self, record: IncomingRecord, received: ReceivedCommand) -> Problem | None:
        """Try once; return the problem that no retry would solve, None once it is applied."""
        try:
            workflow = await self._workflows.get(received.key)
            if not belongs_to(workflow, received.key):
                return _unknown(received)
            if was_applied(workflow, record):
                return None
            plan = partial(
                plan_change,
                workflow,
                received.command,
                record=record,
                now=self._now(),
                requested_by=received.requested_by,
            )
            # In a thread if there are many nodes, for it may take seconds.
            change = await asyncio.to_thread(plan) if has_many_nodes(workflow) else plan()
            if isinstance(received.command, RetryCommand):
                await self._reopen(workflow, received.key, change)
            else:
                await self._workflows.patch(workflow, change.patch)
        except NotFoundError:
            return await self._missing(received)
        except InapplicableCommandError as e:
            return problem(e.problem_type, str(e), errors=e.errors)
        except ConflictError as e:
            raise ApiUnavailableError("The Workflow changed before the patch arrived.") from e
        except RefusedError as e:
            detail = f"The cluster refused the change: {e.status} {e.reason}."
            return problem(ProblemType.REFUSED_BY_CLUSTER, detail)
        except ApiError as e:
            raise ApiUnavailableError(str(e)) from e
        return None

    async def _reopen(self, workflow: Manifest, key: RunKey, change: WorkflowChange) -> None:
        """Let a run be live again, with a slot of its key if its workflow has any."""
        labels = workflow["metadata"].get("labels") or {}
        limit = self._builder.slot_limit(labels.get(metadata.WORKFLOW, ""))
        await self._slots.hold(workflow, key, limit=limit)
        try:
            if (pod := await self._delete_pods(change.obsolete_pods, of=workflow)) is not None:
                # Argo takes a pod that its cache still has for the one of the next attempt.
                raise MustWaitError(
                    f"Pods of the last attempt are being deleted, such as {pod}.",
                    reason=WaitReason.ARGO,
                    retry_after=_POD_IS_GONE_S,
                )
            await self._workflows.patch(workflow, change.patch)
        except RefusedError:
            await self._slots.give_back(workflow, key, limit=limit)
            raise

    async def _delete_pods(self, names: Sequence[str], *, of: Manifest) -> str | None:
        """Delete pods, and return the name of one that was there."""
        found: str | None = None
        for first in range(0, len(names), _PODS_AT_A_TIME):
            batch = names[first : first + _PODS_AT_A_TIME]
            were_there = await asyncio.gather(
                *(self._workflows.delete_pod(name, of=of) for name in batch)
            )
            found = found or next(itertools.compress(batch, were_there), None)
        return found

    async def _missing(self, received: ReceivedCommand) -> Problem | None:
        entry = await self._ledger.get(received.key)
        if entry is None:
            return _unknown(received)
        if entry.cancelled is not None and received.command.type in STOPPING:
            # This command, or one like it, has stopped the run before it was a Workflow.
            return None
        return problem(
            ProblemType.NOT_APPLICABLE,
            f"The run has ended as {entry.phase}, and its Workflow is gone.",
        )


def _unknown(received: ReceivedCommand) -> Problem:
    return problem(
        ProblemType.UNKNOWN_RUN,
        f"There is no run {received.key.run_id!r} of tenant {received.key.tenant!r}.",
    )
