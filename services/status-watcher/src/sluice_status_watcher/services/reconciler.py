"""Performs the steps that the domain decides on, one Workflow at a time.

`domain/next_step.py` decides, `domain/tracked_workflow.py` remembers. This module makes the
requests, and hands their results back.
"""

import asyncio
from dataclasses import replace

import structlog

from sluice_argo.outcomes import Outcome
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.domain.next_step import (
    AskResults,
    CheckDeletion,
    Claim,
    Forget,
    Patch,
    Publish,
    Rest,
    Step,
    Wait,
    next_step,
)
from sluice_status_watcher.domain.tracked_workflow import CLAIM_PATIENCE_S, TrackedWorkflow
from sluice_status_watcher.domain.transitions import PublishedState, is_published
from sluice_status_watcher.domain.work_item import Forgotten, Missing, Resync, WorkItem
from sluice_status_watcher.domain.workflow_state import WorkflowState, without_details
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import Scheduler, WorkflowClient
from sluice_status_watcher.services.deletion_check import DeletionCheck, MissingWorkflow
from sluice_status_watcher.services.event_publication import EventPublication
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup
from sluice_status_watcher.services.workflow_requests import Answer, WorkflowRequests

__all__ = ["Reconciler"]

_log = structlog.get_logger(__name__)

# Claim, annotation and finalizer, for an attempt and for its retry: more patches lead nowhere.
_MAX_PATCHES = 6


class Reconciler:
    """Works on the items of the queue; the queue keeps the items of one Workflow in order.

    Args:
        client: reads and patches Workflows.
        publication: publishes events.
        lookup: finds outcomes that other processes have published.
        deletion_check: finds out what became of Workflows that a list did not hold.
        scheduler: brings a Workflow back later.
        name: holder of this process's claims; no other process has the same.
        metrics: counters of the service.
        release_after: seconds between the acknowledgement of an outcome and the removal of the
            finalizer.
        backoff: pauses after failures.
    """

    def __init__(
        self,
        client: WorkflowClient,
        publication: EventPublication,
        lookup: OutcomeLookup,
        deletion_check: DeletionCheck,
        scheduler: Scheduler,
        *,
        name: str,
        metrics: Metrics,
        release_after: float,
        backoff: Backoff | None = None,
    ) -> None:
        self._publication = publication
        self._lookup = lookup
        self._deletion_check = deletion_check
        self._scheduler = scheduler
        self._name = name
        self._metrics = metrics
        self._release_after = release_after
        self._backoff = backoff or Backoff()
        self._requests = WorkflowRequests(client, metrics=metrics, backoff=self._backoff)
        self._tracked: dict[str, TrackedWorkflow] = {}

    def tracked(self) -> int:
        """Return how many Workflows are kept in memory."""
        return len(self._tracked)

    def recall(self, uid: str, outcome: Outcome) -> None:
        """Take over an outcome that an earlier process has published."""
        self._tracked[uid] = TrackedWorkflow(PublishedState(outcome=outcome))

    async def handle(self, uid: str, item: WorkItem) -> None:
        """Do what one item of the queue calls for."""
        match item:
            case WorkflowState():
                await self._reconcile(uid, item)
            case Resync():
                await self._resync(uid, item)
            case Missing():
                self._check_deletion(uid, item)
            case Forgotten(sequence):
                # Its label may have come back since.
                if uid in self._tracked and self._tracked[uid].sequence <= sequence:
                    self._forget(uid)

    async def _reconcile(self, uid: str, newest: WorkflowState) -> None:
        tracked, patches = self._tracked.get(uid, TrackedWorkflow()).resumed(), 0
        state = newest if newest.sequence >= tracked.published.sequence else None
        while state is not None:
            now = _clock()
            tracked = self._tracked[uid] = tracked.seen(
                state, holder=self._name, release_after=self._release_after, now=now
            )
            step = next_step(tracked, state, now, holder=self._name)
            patches += isinstance(step, Claim | Patch)
            if patches > _MAX_PATCHES:
                _log.warning("patches reverted by another writer", **state.identity.log_fields())
                pause = self._backoff.delay(tracked.reverted_patches + 1)
                tracked, patches = tracked.reverted(not_before=now + pause), 0
                continue
            if isinstance(step, Wait | Rest | CheckDeletion | Forget):
                self._pause(uid, tracked, state, step)
                return
            try:
                tracked, newer = await self._perform(tracked, state, step)
            except KafkaUnavailableError as e:
                self._await_kafka(uid, tracked, state, e)
                return
            if isinstance(step, Publish) and state.lifecycle.gone:
                # No state can follow.
                self._forget(uid)
                return
            self._tracked[uid], state = tracked, newer

    def _pause(
        self,
        uid: str,
        tracked: TrackedWorkflow,
        state: WorkflowState,
        step: Wait | Rest | CheckDeletion | Forget,
    ) -> None:
        match step:
            case Wait(until):
                self._look_again(uid, tracked, at=until)
            case Rest(until):
                self._tracked[uid] = tracked.at_rest()
                if until is None:
                    self._scheduler.cancel(uid)
                else:
                    self._look_again(uid, tracked, at=until, reread=False)
            case CheckDeletion():
                self._start_deletion_check(uid, tracked, state, sequence=state.sequence)
            case Forget(unlabelled):
                if unlabelled:
                    _log.warning("Workflow lost its label", **state.identity.log_fields())
                self._forget(uid)

    async def _perform(self, tracked: TrackedWorkflow, state: WorkflowState, step: Step) -> Answer:
        """Perform a step; return what is known then, and the state to go on with, if any."""
        match step:
            case Claim():
                return await self._claim(tracked, state, step)
            case Patch():
                return await self._patch(tracked, state, step)
            case AskResults(attempt):
                outcome = await self._lookup.find_published(state, attempt=attempt)
                return tracked.answered(outcome), state
            case Publish():
                return await self._publish(tracked, state, step), state
            case _:
                raise AssertionError(f"{step} is not performed")

    async def _claim(self, tracked: TrackedWorkflow, state: WorkflowState, step: Claim) -> Answer:
        if step.takes_over:
            # The other process may have published it by now.
            tracked = replace(tracked, maybe_published_by_other=True)
        tracked, newer = await self._requests.patch(tracked, state, step.operations)
        now = _clock()
        if newer is not None and newer.lifecycle.claim == step.claim:
            if step.takes_over:
                self._metrics.claims_taken_over.inc()
            # The end was observed before it was claimed.
            return tracked.claimed(), replace(newer, observed_at=state.observed_at)
        tracked = tracked.claim_failed(now=now)
        if newer is not None and tracked.is_overdue(now):
            return tracked.retrying(at=now), state
        return tracked, newer or _unless_lost(tracked, state)

    async def _patch(self, tracked: TrackedWorkflow, state: WorkflowState, step: Patch) -> Answer:
        before = state.lifecycle
        tracked, newer = await self._requests.patch(tracked, state, step.operations)
        if newer is None:
            return tracked, _unless_lost(tracked, state)
        if not tracked.failures and step.retried:
            self._metrics.workflows_retried.inc()
            _log.info("Workflow retried", **state.identity.log_fields())
        elif not tracked.failures and before.has_finalizer and not newer.lifecycle.has_finalizer:
            self._metrics.finalizers_removed.inc()
            _log.info("finalizer removed", **state.identity.log_fields())
        return tracked, newer

    async def _publish(
        self, tracked: TrackedWorkflow, state: WorkflowState, step: Publish
    ) -> TrackedWorkflow:
        if step.unclaimed:
            _log.warning("publishing without a claim", **state.identity.log_fields())
            self._metrics.unclaimed_outcomes.inc()
        published = await self._publication.publish(state, tracked.published, claim=step.claim)
        return tracked.announced(published)

    async def _resync(self, uid: str, item: Resync) -> None:
        tracked = self._tracked.get(uid)
        if tracked is None or tracked.last is None:
            return
        state: WorkflowState | None = tracked.last
        if item.reread and not tracked.last.lifecycle.gone:
            tracked, state = await self._requests.read(tracked.resumed(), tracked.last)
            self._tracked[uid] = tracked
        if state is not None:
            await self._reconcile(uid, state)
        elif tracked.retry_at is not None:
            self._look_again(uid, tracked, at=tracked.retry_at)

    def _await_kafka(
        self,
        uid: str,
        tracked: TrackedWorkflow,
        state: WorkflowState,
        error: KafkaUnavailableError,
    ) -> None:
        fields = state.identity.log_fields()
        _log.warning("Kafka gave no answer in time", error=str(error), **fields)
        claim = None if state.lifecycle.gone else state.lifecycle.claim
        at = _clock() + self._backoff.delay(tracked.failures + 1, at_least=CLAIM_PATIENCE_S)
        self._tracked[uid] = tracked.unacknowledged(claim, retry_at=at)
        self._look_again(uid, tracked, at=at)

    def _check_deletion(self, uid: str, item: Missing) -> None:
        tracked = self._tracked.get(uid)
        if tracked is None or (last := tracked.last) is None:
            self._forget(uid)
            return
        outcome = tracked.published.outcome
        if is_published(last.lifecycle, outcome):
            self._forget(uid)
        elif not last.lifecycle.gone:
            sequence = max(item.sequence, tracked.published.sequence + 1)
            self._start_deletion_check(uid, tracked, last, sequence=sequence)

    def _start_deletion_check(
        self, uid: str, tracked: TrackedWorkflow, last: WorkflowState, *, sequence: int
    ) -> None:
        self._scheduler.cancel(uid)
        missing = MissingWorkflow(
            without_details(last), tracked.published.outcome, sequence=sequence
        )
        self._deletion_check.start(missing)

    def _look_again(
        self, uid: str, tracked: TrackedWorkflow, *, at: float, reread: bool = True
    ) -> None:
        self._scheduler.add_at(uid, Resync(tracked.size, reread), at=at)

    def _forget(self, uid: str) -> None:
        self._scheduler.cancel(uid)
        self._publication.forget(uid)
        self._tracked.pop(uid, None)


def _unless_lost(tracked: TrackedWorkflow, state: WorkflowState) -> WorkflowState | None:
    """Return the state after a failed request; None if the object is not the run's any more."""
    return None if tracked.retry_at is None else state


def _clock() -> float:
    return asyncio.get_running_loop().time()
