"""Brings the world up to date with one Workflow, and the Workflow with what the world was told.

The order is what the promises rest on: both topics acknowledge the outcome, the mark is put on the
object, and only after a while is the finalizer removed. A crash anywhere between leaves a state
from which the same steps lead on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from sluice_contracts.metadata import FINALIZER
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import (
    ApiError,
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
)
from sluice_status_watcher.alarms import Alarms
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.observing import (
    ForeignWorkflowError,
    Observed,
    Standing,
    in_brief,
    observe,
)
from sluice_status_watcher.outcomes import Outcome
from sluice_status_watcher.patches import next_patch
from sluice_status_watcher.ports import PublishedOutcomes, Workflows
from sluice_status_watcher.publishing import StatusPublisher
from sluice_status_watcher.telling import Teller
from sluice_status_watcher.transitions import Told, is_reopened, is_settled, known_outcome
from sluice_status_watcher.vanishing import Vanishing

__all__ = ["Due", "News", "Reconciler", "Vanished"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

# Reopened, marked and released are three; more are not needed to bring an object into order.
_ROUNDS = 4
_RESOLUTION_S = 0.001


@dataclass(frozen=True)
class Due:
    """The time has come to look at a Workflow again, though nothing new is known of it."""


@dataclass(frozen=True)
class Vanished:
    """A list did not hold the Workflow any more; `sequence` is the list's resourceVersion."""

    sequence: int


News = Observed | Due | Vanished


@dataclass(slots=True)
class _Run:
    """What is kept in memory of one Workflow."""

    told: Told
    release_at: float | None = None
    """Loop time from which the finalizer may go; None before the outcome is told."""
    last: Observed | None = None
    """As last seen, in brief; None where nothing is left to do to the object."""
    stale: bool = False
    """A patch found the object changed: read it before the next one."""
    failures: int = 0

    @property
    def standing(self) -> Standing | None:
        return self.last.standing if self.last else None


class Reconciler:
    """Works on the news of one Workflow at a time; the caller keeps them in order."""

    def __init__(
        self,
        workflows: Workflows,
        publisher: StatusPublisher,
        published: PublishedOutcomes,
        *,
        metrics: Metrics,
        release_after: timedelta,
        wake: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Backoff | None = None,
    ) -> None:
        self._workflows = workflows
        self._metrics = metrics
        self._release_after = release_after.total_seconds()
        self._now = now
        self._backoff = backoff or Backoff()
        self._teller = Teller(publisher, metrics=metrics, now=now)
        self._vanishing = Vanishing(workflows, publisher, published, backoff=self._backoff)
        self._alarms = Alarms(wake)
        self._runs: dict[str, _Run] = {}

    def known(self) -> int:
        """Count the Workflows kept in memory."""
        return len(self._runs)

    def recall(self, uid: str, outcome: Outcome) -> None:
        """Take over what an earlier process has told: it is not to be told again."""
        self._runs[uid] = _Run(Told(outcome=outcome))

    async def handle(self, uid: str, news: News) -> None:
        """Do what one piece of news calls for."""
        match news:
            case Observed():
                await self._reconcile(uid, news)
            case Vanished():
                await self._vanished(uid, sequence=news.sequence)
            case Due() if (run := self._runs.get(uid)) is not None:
                await self._look_again(uid, run)

    async def _reconcile(self, uid: str, observed: Observed) -> None:
        run = self._runs.setdefault(uid, _Run(Told()))
        if observed.sequence < run.told.sequence:
            return
        standing = observed.standing
        if standing.gone and standing.held and not standing.deleting:
            # No object goes while a finalizer holds it: it has lost the label that we watch by.
            # (One that was being deleted may show the finalizer that was the last to be removed.)
            _log.warning("no longer labelled as ours", run=str(observed.identity.key), uid=uid)
            self._forget(uid)
            return
        run.last, run.stale = in_brief(observed), False
        outcome = known_outcome(standing, run.told.outcome)
        if is_reopened(standing, outcome) and not standing.phase.terminal:
            # First of all it must not be able to disappear again.
            run.told = replace(run.told, outcome=outcome)
            observed = await self._patched(uid, run) or observed
        for _ in range(_ROUNDS):
            await self._tell(run, observed)
            if observed.standing.gone:
                self._forget(uid)
                return
            newer = await self._patched(uid, run)
            if newer is None:
                return
            observed = newer
        # Patches are answered with success and change nothing: somebody undoes them.
        _log.warning("patches do not hold", run=str(observed.identity.key), uid=uid)
        run.failures += 1
        self._later(uid, run)

    async def _look_again(self, uid: str, run: _Run) -> None:
        observed = await self._read(uid, run) if run.stale else await self._patched(uid, run)
        if observed is not None:
            await self._reconcile(uid, observed)

    async def _tell(self, run: _Run, observed: Observed) -> None:
        run.last = in_brief(observed)
        told = await self._teller.tell(observed, run.told)
        settled = is_settled(observed.standing, told.outcome)
        if not settled or told.outcome != run.told.outcome:
            run.release_at = None
        run.told = told
        if settled and run.release_at is None:
            # One told by an earlier process waits in full once more: its clock is not ours.
            run.release_at = _clock() + self._release_after

    async def _patched(self, uid: str, run: _Run) -> Observed | None:
        """Make the patch that is called for; gives what the object is then, None if unknown."""
        standing = run.standing
        if standing is None:
            return None
        # A timer may ring a moment before its time, as clocks have a resolution.
        releasable = run.release_at is not None and run.release_at - _clock() < _RESOLUTION_S
        operations = next_patch(standing, run.told.outcome, releasable=releasable)
        if not operations:
            run.failures = 0
            self._rest(uid, run, standing)
            return None
        try:
            document = await self._workflows.patch(standing.name, operations)
        except ConflictError:
            self._metrics.patch_failures.labels("conflict").inc()
            run.stale = True
            run.failures += 1
            if run.failures == 1:
                return await self._read(uid, run)
            self._later(uid, run)
            return None
        except (ApiError, ApiUnavailableError) as e:
            self._failed(uid, run, e, doing="patch")
            return None
        run.failures = 0
        self._note(standing, document, reopened=is_reopened(standing, run.told.outcome))
        return self._observed(document)

    async def _read(self, uid: str, run: _Run) -> Observed | None:
        if run.standing is None:
            return None
        try:
            document = await self._workflows.get(run.standing.name)
        except (ApiError, ApiUnavailableError) as e:
            self._failed(uid, run, e, doing="read")
            return None
        if document["metadata"]["uid"] != uid:
            return None
        run.stale = False
        return self._observed(document)

    def _observed(self, document: Json) -> Observed | None:
        try:
            return observe(document, observed_at=self._now())
        except ForeignWorkflowError:
            # Somebody has taken its marks away meanwhile.
            return None

    def _note(self, before: Standing, document: Json, *, reopened: bool) -> None:
        if reopened:
            self._metrics.reopened.inc()
            _log.info("reopened", workflow=before.name)
        elif before.held and FINALIZER not in (document["metadata"].get("finalizers") or ()):
            self._metrics.released.inc()

    def _failed(
        self, uid: str, run: _Run, error: ApiError | ApiUnavailableError, *, doing: str
    ) -> None:
        if isinstance(error, NotFoundError):
            # It goes from memory when the watch says so, lest its last state be told again.
            return
        unavailable = isinstance(error, ApiUnavailableError)
        self._metrics.patch_failures.labels("unavailable" if unavailable else "refused").inc()
        run.failures += 1
        run.stale = True
        _log.warning(f"could not {doing} the Workflow", uid=uid, error=str(error))
        self._later(uid, run, at_least=getattr(error, "retry_after", 0.0))

    def _later(self, uid: str, run: _Run, *, at_least: float = 0.0) -> None:
        pause = self._backoff.delay(run.failures, at_least=at_least)
        self._alarms.set(uid, at=_clock() + pause)

    def _rest(self, uid: str, run: _Run, standing: Standing) -> None:
        if run.release_at is None:
            return
        if standing.held:
            self._alarms.set(uid, at=run.release_at)
        else:
            # Finished Workflows stay for an hour or more; there can be very many of them.
            run.last = None

    async def _vanished(self, uid: str, *, sequence: int) -> None:
        run = self._runs.get(uid)
        if run is not None and run.last is not None:
            later = max(sequence, run.told.sequence + 1)
            state = await self._vanishing.last_state(run.last, run.told.outcome, sequence=later)
            if state is not None:
                await self._teller.tell(state, run.told)
        self._forget(uid)

    def _forget(self, uid: str) -> None:
        self._alarms.cancel(uid)
        self._teller.forget(uid)
        self._runs.pop(uid, None)


def _clock() -> float:
    return asyncio.get_running_loop().time()
