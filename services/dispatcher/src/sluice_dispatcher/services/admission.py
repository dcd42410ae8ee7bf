"""The gate between a valid request and its create: requests wait here until no limit holds them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sluice_contracts.ids import RunKey, workflow_name
from sluice_dispatcher.domain.fair_queue import FairQueue, Waiting
from sluice_dispatcher.domain.live_runs import LiveRuns
from sluice_dispatcher.domain.pauses import NO_PAUSES, Pauses
from sluice_dispatcher.domain.verdict import IS_WORKFLOW
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_dispatcher.services.queued_runs import QueuedRun
from sluice_runtime.live_limits import NO_LIMITS, Limits

__all__ = ["Admission"]

_ROUND_S: Final = 1.0

T = TypeVar("T")


@dataclass(kw_only=True)
class _Visit:
    """A request at the gate; `passed` is done once it may be created."""

    waiting: Waiting
    task: asyncio.Task[object] | None
    passed: asyncio.Future[None]


class Admission:
    """Lets requests start by fair shares, as limits and pauses allow.

    A request passes as well when its Workflow appears, or when its `expires_at` has come: then it
    ends as Expired.

    Args:
        budget: the records in flight, to count those as waiting that are held.
        limits: the newest limits; those and the pauses act at the next decision.
        pauses: what is paused.
        unready: why nothing may start for now, such as unknown live runs; None if it may.
        longest_create: after this time, no create that was sent can still take effect.
        places: the namespaces that may have Workflows of a tenant.
        is_counting: whether the live runs are watched. If not, a run counts while it is created.
        clock: seconds, also while the process or the machine is suspended.
    """

    def __init__(
        self,
        *,
        budget: InFlightBudget,
        longest_create: timedelta,
        places: Callable[[str], Sequence[str]],
        is_counting: bool,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        limits: Callable[[], Limits] = lambda: NO_LIMITS,
        pauses: Callable[[], Pauses] = lambda: NO_PAUSES,
        unready: Callable[[], WaitReason | None] = lambda: None,
    ) -> None:
        self._queue = FairQueue()
        self.live = LiveRuns(self._queue.count, places=places)
        self._budget = budget
        self._longest_create = longest_create
        self.is_counting = is_counting
        self._now = now
        self._clock = clock
        self._unready = unready
        self._limits = limits
        self._pauses = pauses
        self._applied = NO_LIMITS, NO_PAUSES
        # By the names of the Workflows: requests of one run come one after another.
        self._visits: dict[str, _Visit] = {}
        self._unserved_since: dict[str, float] = {}

    @property
    def queue(self) -> FairQueue:
        """The requests that are held, and the counts of live runs."""
        return self._queue

    def time(self) -> float:
        """Return the time on the clock by which runs are noted."""
        return self._clock()

    async def run(self) -> None:
        """Refresh what each request waits for, every second, until cancelled."""
        while True:
            self.live.expire(now=self._clock())
            self.decide()
            self._note_reasons()
            await asyncio.sleep(_ROUND_S)

    def unserved_seconds(self) -> dict[str, float]:
        """Return how long tenants have waited for their share without a start; 0 to a second late.

        Those alone that are below their own limits: the limit of all runs holds their requests.
        """
        now = self._clock()
        return {tenant: now - since for tenant, since in self._unserved_since.items()}

    def knows(self, key: RunKey) -> bool:
        """Return whether a Workflow of the run was seen."""
        return self.live.exists(workflow_name(key))

    async def wait_unpaused(self, queued: QueuedRun) -> None:
        """Wait until neither the tenant nor the workflow of a request is paused.

        What is paused must not stop or keep out other runs.
        """
        request, tenant = queued.received.request, queued.received.key.tenant
        while self._unready() or self._is_paused(tenant, request.workflow):
            if request.has_expired(self._now()):
                return
            self._budget.mark_waiting(self._unready() or self._queue.pause_reason(tenant))
            await asyncio.sleep(_ROUND_S)
        self._budget.mark_active()

    async def start(self, queued: QueuedRun, create: Callable[[], Awaitable[T]]) -> T:
        """Wait until the request may start, and return what `create` returns."""
        name = workflow_name(queued.received.key)
        has_passed = False
        try:
            await self._pass(queued, name)
            has_passed = True
            result = await create()
        except BaseException:
            is_possible = queued.create_is_possible(longest=self._longest_create)
            self._leave(name, is_unclear=has_passed and is_possible)
            raise
        if self.is_counting and result in IS_WORKFLOW:
            self.live.created(name, now=self._clock())
        else:
            self._leave(name, is_unclear=False)
        return result

    def decide(self) -> None:
        """Let all requests start that may, by the limits and pauses of now."""
        if self._unready() is not None:
            return
        self._apply_rules()
        while (chosen := self._queue.next()) is not None:
            self._unserved_since.pop(chosen.tenant, None)
            self.live.admit(chosen.token, tenant=chosen.tenant, workflow=chosen.workflow)
            self._visits[chosen.token].passed.set_result(None)

    def saw(self, name: str) -> None:
        """Note that a Workflow exists or changed: its own request need not wait any longer."""
        visit = self._visits.get(name)
        if visit is not None and self.live.exists(name) and not visit.passed.done():
            self._queue.withdraw(name)
            visit.passed.set_result(None)

    def explain(self, queued: QueuedRun) -> str | None:
        """Return in words what of a request is paused; None if nothing is."""
        key, request = queued.received.key, queued.received.request
        return self._queue.pause_of(tenant=key.tenant, workflow=request.workflow)

    async def _pass(self, queued: QueuedRun, name: str) -> None:
        if self.live.exists(name):
            # Seen since the request was read. It counts by itself, and nothing would end a place.
            return
        passed = asyncio.get_running_loop().create_future()
        visit = _Visit(waiting=_waiting(queued, name), task=queued.task, passed=passed)
        self._visits[name] = visit
        try:
            self._queue.offer(visit.waiting)
            self.decide()
            if (reason := self._reason(visit)) is not None:
                self._budget.mark_waiting(reason)
                await self._until_passed_or_expired(queued, passed)
                self._budget.mark_active()
        finally:
            self._queue.withdraw(name)
            del self._visits[name]

    async def _until_passed_or_expired(
        self, queued: QueuedRun, passed: asyncio.Future[None]
    ) -> None:
        expires_at = queued.received.request.expires_at
        while not passed.done():
            left = None if expires_at is None else (expires_at - self._now()).total_seconds()
            if left is not None and left <= 0:
                return
            await asyncio.wait([passed], timeout=left)

    def _is_paused(self, tenant: str, workflow: str) -> bool:
        self._apply_rules()
        return self._queue.is_paused(tenant=tenant, workflow=workflow)

    def _apply_rules(self) -> None:
        limits, pauses = self._limits(), self._pauses()
        # Comparing them would take long with many tenants: sources return the same until a change.
        if limits is not self._applied[0] or pauses is not self._applied[1]:
            self._applied = limits, pauses
            self._queue.configure(limits, pauses)

    def _leave(self, name: str, *, is_unclear: bool) -> None:
        """Give back the place of a request without a Workflow; later, if that is unclear."""
        later = self._clock() + self._longest_create.total_seconds()
        forget_at = later if is_unclear and self.is_counting else None
        self.live.gave_up(name, forget_at=forget_at)
        self.decide()

    def _note_reasons(self) -> None:
        unserved: set[str] = set()
        for visit in self._visits.values():
            reason, task = self._reason(visit), visit.task
            if reason is WaitReason.LIVE_LIMIT:
                unserved.add(visit.waiting.tenant)
            if reason is None or task is None or self._budget.reason_of(task) is reason:
                continue
            self._budget.mark_waiting(reason, task)
        now = self._clock()
        self._unserved_since = {each: self._unserved_since.get(each, now) for each in unserved}

    def _reason(self, visit: _Visit) -> WaitReason | None:
        """Return why a request is held; None if it is not."""
        if visit.passed.done():
            return None
        return self._unready() or self._queue.held_by(visit.waiting)


def _waiting(queued: QueuedRun, name: str) -> Waiting:
    request = queued.received.request
    return Waiting(
        token=name,
        tenant=queued.received.key.tenant,
        workflow=request.workflow,
        priority=request.priority,
        accepted_ms=queued.record.timestamp_ms,
    )
