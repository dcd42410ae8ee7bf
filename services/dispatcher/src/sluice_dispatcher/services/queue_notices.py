"""Publishing why a request waits: the source of a queued run's `held_by`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

import structlog

from sluice_contracts.notices import QueueNotice
from sluice_contracts.status import event_id
from sluice_dispatcher.domain.wait_reason import WaitReason, wait_detail
from sluice_dispatcher.ports import OutcomePublisher
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_dispatcher.services.queued_runs import QueuedRun, QueuedRuns
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError

__all__ = ["QueueNotices"]

_log = structlog.get_logger(__name__)

_ROUND_S: Final = 1.0
_MOST_PER_ROUND: Final = 100
# Reasons may alternate for hours.
_BETWEEN_NOTICES: Final = timedelta(seconds=30)


@dataclass(kw_only=True)
class _Wait:
    reason: WaitReason
    since: datetime
    published: WaitReason | None = None
    published_at: datetime | None = None

    def is_due(self, *, now: datetime, after: timedelta) -> bool:
        if self.reason is self.published or now - self.since < after:
            return False
        return self.published_at is None or now - self.published_at >= _BETWEEN_NOTICES


class QueueNotices:
    """Publishes a notice for each request that has waited for the same thing for `after`.

    It runs beside the requests and only reads what they wait for, so that it cannot delay them. A
    notice that Kafka does not take is dropped; a later round tries again. `explain` returns what is
    paused, and why.
    """

    def __init__(
        self,
        *,
        queued: QueuedRuns,
        budget: InFlightBudget,
        publisher: OutcomePublisher,
        after: timedelta,
        now: Callable[[], datetime],
        explain: Callable[[QueuedRun], str | None] = lambda _: None,
    ) -> None:
        self._explain = explain
        self._queued = queued
        self._budget = budget
        self._publisher = publisher
        self._after = after
        self._now = now
        self._waits: WeakKeyDictionary[QueuedRun, _Wait] = WeakKeyDictionary()

    async def run(self) -> None:
        """Publish what is due, every second, until cancelled."""
        while True:
            await self._round()
            await asyncio.sleep(_ROUND_S)

    async def _round(self) -> None:
        due = [run for run in self._queued if self._is_due(run)]
        for run in due[:_MOST_PER_ROUND]:
            # Others may have ended, or wait for something else, since the round began.
            if not self._is_due(run):
                continue
            try:
                await self._publish(run)
            except (KafkaUnavailableError, RecordRefusedError) as e:
                _log.warning("queue notice dropped", error=type(e).__name__)
                return

    def _is_due(self, run: QueuedRun) -> bool:
        reason = None if run.task is None else self._budget.reason_of(run.task)
        # A request behind another one of its run says nothing new about the run.
        if reason is None or reason is WaitReason.SAME_RUN:
            return False
        now = self._now()
        wait = self._waits.get(run)
        if wait is None:
            wait = self._waits[run] = _Wait(reason=reason, since=now)
        elif wait.reason is not reason:
            wait.reason, wait.since = reason, now
        return wait.is_due(now=now, after=self._after)

    async def _publish(self, run: QueuedRun) -> None:
        wait, record, key = self._waits[run], run.record, run.received.key
        reason, since = wait.reason, wait.since
        notice = QueueNotice(
            event_id=event_id(
                "queued", str(record.position), str(record.timestamp_ms), reason, since.isoformat()
            ),
            run_id=key.run_id,
            tenant=key.tenant,
            request=str(record.position),
            held_by=reason.replace(" ", "-"),
            detail=self._detail(run, reason),
            since=since,
            observed_at=self._now(),
        )
        await self._publisher.publish_queued(notice, traceparent=run.received.traceparent)
        wait.published, wait.published_at = reason, self._now()

    def _detail(self, run: QueuedRun, reason: WaitReason) -> str:
        explained = self._explain(run) if reason is WaitReason.PAUSED else None
        return explained or wait_detail(reason)
