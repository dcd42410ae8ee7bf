"""Brings the world up to date with one Workflow, and the Workflow with what the world was told.

The order is what the promises rest on: the outcome is claimed on the object, both topics
acknowledge it, the mark takes the claim's place, and only after a while is the finalizer removed.
A crash anywhere between leaves a state from which the same steps lead on, and so it is with
another status-watcher that takes them at the same time.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from sluice_argo.outcomes import Claim, Outcome
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.adapters.workflow_client import ApiWorkflowClient
from sluice_status_watcher.domain.patches import bookkeeping_patch, claim_patch
from sluice_status_watcher.domain.tracked_workflow import Awaited, Run
from sluice_status_watcher.domain.transitions import (
    PublishedState,
    claim_to_make,
    is_published,
    is_retried,
    known_outcome,
    open_claim,
)
from sluice_status_watcher.domain.work_item import Forgotten, Missing, Resync, WorkItem
from sluice_status_watcher.domain.workflow_state import Lifecycle, WorkflowState, without_details
from sluice_status_watcher.handlers.alarms import Alarms
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.deletion_check import DeletionCheck, MissingWorkflow
from sluice_status_watcher.services.event_publication import EventPublication
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup

__all__ = ["Reconciler"]

_log = structlog.get_logger(__name__)

# Reopened, claimed, asked about, marked and released are five; no more bring one into order.
_ROUNDS = 6
_RESOLUTION_S = 0.001
# Who claims an outcome tells it at once, unless it was killed or Kafka is away.
_PATIENCE_S = 5.0
# What cannot be changed shall not keep its outcome to itself.
_UNCLAIMED_S = 30.0


class Reconciler:
    """Works on the news of one Workflow at a time; the caller keeps them in order.

    `requeue` brings news that it has for itself back to `handle`, in that order.
    """

    def __init__(
        self,
        workflows: Workflows,
        publisher: KafkaStatusPublisher,
        published: ResultsReader,
        *,
        name: str,
        metrics: Metrics,
        release_after: timedelta,
        requeue: Callable[[str, WorkItem], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Backoff | None = None,
    ) -> None:
        self._backoff = backoff = backoff or Backoff()
        self._name = name
        self._metrics = metrics
        self._release_after = release_after.total_seconds()
        self._teller = EventPublication(publisher, metrics=metrics, now=now)
        self._doubts = OutcomeLookup(published, publisher)
        self.vanishing = DeletionCheck(
            workflows,
            self._doubts,
            answer=lambda uid, state: requeue(uid, state or Forgotten()),
            backoff=backoff,
        )
        self._alarms: Alarms[str] = Alarms(lambda uid: requeue(uid, self._due(uid)))
        self._changer = ApiWorkflowClient(
            workflows, self._alarms, metrics=metrics, backoff=backoff, now=now
        )
        self._runs: dict[str, Run] = {}

    def known(self) -> int:
        """Count the Workflows kept in memory."""
        return len(self._runs)

    def recall(self, uid: str, outcome: Outcome) -> None:
        """Take over what an earlier process has told: it is not to be told again."""
        self._runs[uid] = Run(PublishedState(outcome=outcome))

    async def handle(self, uid: str, news: WorkItem) -> None:
        """Do what one piece of news calls for."""
        match news:
            case WorkflowState():
                await self._reconcile(uid, news)
            case Missing():
                self._vanished(uid, sequence=news.sequence)
            case Forgotten():
                self._forget(uid)
            case Resync() if (run := self._runs.get(uid)) is not None:
                await self._look_again(uid, run)

    def _due(self, uid: str) -> Resync:
        run = self._runs.get(uid)
        return Resync(size=run.size if run else 0)

    async def _reconcile(self, uid: str, state: WorkflowState) -> None:
        run = self._runs.setdefault(uid, Run(PublishedState()))
        if state.sequence < run.told.sequence:
            return
        lifecycle = state.lifecycle
        if lifecycle.gone and lifecycle.held and not lifecycle.deleting:
            # No object goes while a finalizer holds it: it has lost the label that we watch by.
            # (One that was being deleted may show the finalizer that was the last to be removed.)
            _log.warning("no longer labelled as ours", run=str(state.identity.key), uid=uid)
            self._forget(uid)
            return
        if run.undone and not lifecycle.gone and run.held_until - _clock() > _RESOLUTION_S:
            self._changer.look_again(uid, run, at=run.held_until)
            return
        run.stale = False
        try:
            for _ in range(_ROUNDS):
                newer = await self._advance(uid, run, state)
                if newer is None:
                    return
                state = newer
        except KafkaUnavailableError as e:
            _log.warning("Kafka gave no answer in time", uid=uid, error=str(e))
            self._wait_for_kafka(uid, run, state)
        else:
            # Patches are answered with success and change nothing: somebody undoes them.
            _log.warning("patches do not hold", run=str(state.identity.key), uid=uid)
            run.undone += 1
            run.held_until = _clock() + self._backoff.delay(run.undone)
            self._changer.look_again(uid, run, at=run.held_until)

    def _wait_for_kafka(self, uid: str, run: Run, state: WorkflowState) -> None:
        run.failures += 1
        at = self._changer.later(uid, run, at_least=_PATIENCE_S)
        claim = state.lifecycle.claim
        if claim is not None and not state.lifecycle.gone:
            # Whatever the watch brings until then: the object is read before the next attempt.
            run.awaited = Awaited(claim, until=at)

    async def _advance(self, uid: str, run: Run, state: WorkflowState) -> WorkflowState | None:
        """Take the next step; gives the state that it leads to.

        None if there is none to take, or none now: an alarm is set for when there may be.

        Raises:
            KafkaUnavailableError: the results topic cannot be read, or has not acknowledged an
                outcome in time.
        """
        run.last, run.size = without_details(state), state.size
        lifecycle = state.lifecycle
        outcome = known_outcome(lifecycle, run.told.outcome)
        claim = open_claim(lifecycle, outcome)
        if claim is not None and not lifecycle.gone and self._wait(uid, run, claim):
            return None
        wanted = claim_to_make(lifecycle, outcome, holder=self._name)
        if wanted is not None:
            # Whoever has claimed it may have told it by now.
            run.doubtful |= claim is not None
            newer = await self._claim(uid, run, state, wanted)
            if not self._is_overdue(run):
                return newer
        if run.doubtful and not lifecycle.gone and (about := claim or wanted) is not None:
            told = await self._doubts.answer(state, attempt=about.outcome.attempt)
            run.doubtful = False
            if told is not None:
                run.told = replace(run.told, outcome=told)
                return state
        if wanted is not None:
            _log.warning("told without a claim", run=str(state.identity.key), uid=uid)
            self._metrics.unclaimed.inc()
        if claim is None and is_retried(lifecycle, outcome) and not lifecycle.phase.terminal:
            # First of all it must not be able to disappear again.
            run.told = replace(run.told, outcome=outcome)
            if (newer := await self._patched(uid, run)) is not None:
                return newer
        await self._tell(run, state, claim)
        if lifecycle.gone:
            self._forget(uid)
            return None
        return await self._patched(uid, run)

    def _wait(self, uid: str, run: Run, claim: Claim) -> bool:
        """Leave who has claimed an outcome the time to tell it; False if it has passed."""
        seen_first = run.awaited is None or run.awaited.claim != claim
        if seen_first and claim.holder != self._name:
            run.awaited = Awaited(claim, until=_clock() + _PATIENCE_S)
        if run.awaited is None or run.awaited.claim != claim:
            return False
        if run.awaited.until - _clock() < _RESOLUTION_S:
            return False
        self._changer.look_again(uid, run, at=run.awaited.until)
        return True

    async def _claim(
        self, uid: str, run: Run, state: WorkflowState, claim: Claim
    ) -> WorkflowState | None:
        newer = await self._changer.patch(uid, run, claim_patch(state.lifecycle, claim))
        if newer is None or newer.lifecycle.claim != claim:
            if run.unclaimed_since is None:
                run.unclaimed_since = _clock()
            return newer
        run.unclaimed_since = None
        if claim.sequence != state.sequence:
            self._metrics.taken_over.inc()
        # It was seen to end before it was claimed.
        return replace(newer, observed_at=state.observed_at)

    @staticmethod
    def _is_overdue(run: Run) -> bool:
        return run.unclaimed_since is not None and _clock() - run.unclaimed_since >= _UNCLAIMED_S

    async def _look_again(self, uid: str, run: Run) -> None:
        if run.last is not None and run.last.lifecycle.gone:
            # There is nothing left to read.
            state: WorkflowState | None = run.last
        elif run.stale:
            state = await self._changer.read(uid, run)
        else:
            state = await self._patched(uid, run)
        if state is not None:
            await self._reconcile(uid, state)

    async def _tell(self, run: Run, state: WorkflowState, claim: Claim | None) -> None:
        told = await self._teller.tell(state, run.told, claim=claim)
        settled = is_published(state.lifecycle, told.outcome)
        if not settled or told.outcome != run.told.outcome:
            run.release_at = None
        run.told, run.unclaimed_since = told, None
        if settled and run.release_at is None:
            # One told by an earlier process waits in full once more: its clock is not ours.
            run.release_at = _clock() + self._release_after

    async def _patched(self, uid: str, run: Run) -> WorkflowState | None:
        """Make the patch that is called for; gives what the object is then, None if unknown."""
        lifecycle = run.lifecycle
        if lifecycle is None:
            return None
        # A timer may ring a moment before its time, as clocks have a resolution.
        releasable = run.release_at is not None and run.release_at - _clock() < _RESOLUTION_S
        operations = bookkeeping_patch(lifecycle, run.told.outcome, releasable=releasable)
        if not operations:
            run.failures = run.undone = 0
            self._rest(uid, run, lifecycle)
            return None
        newer = await self._changer.patch(uid, run, operations)
        if newer is not None and not run.failures:
            self._note(lifecycle, newer.lifecycle, reopened=is_retried(lifecycle, run.told.outcome))
        return newer

    def _note(self, before: Lifecycle, after: Lifecycle, *, reopened: bool) -> None:
        if reopened:
            self._metrics.reopened.inc()
            _log.info("reopened", workflow=before.name)
        elif before.held and not after.held:
            self._metrics.released.inc()

    def _rest(self, uid: str, run: Run, lifecycle: Lifecycle) -> None:
        if run.release_at is None:
            return
        if lifecycle.held:
            self._alarms.set(uid, at=run.release_at)
        else:
            run.rest()

    def _vanished(self, uid: str, *, sequence: int) -> None:
        run = self._runs.get(uid)
        if run is None or run.last is None or is_published(run.last.lifecycle, run.told.outcome):
            self._forget(uid)
            return
        if run.last.lifecycle.gone:
            return
        self._alarms.cancel(uid)
        self.vanishing.ask(
            MissingWorkflow(
                last=run.last,
                outcome=run.told.outcome,
                sequence=max(sequence, run.told.sequence + 1),
            )
        )

    def _forget(self, uid: str) -> None:
        self._alarms.cancel(uid)
        self._teller.forget(uid)
        self._runs.pop(uid, None)


def _clock() -> float:
    return asyncio.get_running_loop().time()
