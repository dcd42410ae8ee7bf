"""Telling the world that a request does not become a run, in the right order to be repeatable.

The results topic comes last: what stands there is in the ledger, and then all before it was done.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase, RefusalNotice, StatusEvent, event_id
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.ports import Ledger, Reports
from sluice_dispatcher.services.bounded_calls import NotYetError, Retrying
from sluice_runtime.kafka.errors import RecordRefusedError

__all__ = ["TurningAway"]


class TurningAway:
    """Publishes dead letters, refusals and the outcomes of runs that never began."""

    def __init__(
        self,
        *,
        reports: Reports,
        ledger: Ledger,
        retrying: Retrying,
        now: Callable[[], datetime],
    ) -> None:
        self._reports = reports
        self._ledger = ledger
        self._retrying = retrying
        self._now = now

    async def bury(self, record: IncomingRecord, problem: Problem, *, key: RunKey | None) -> None:
        """Keep the record on the DLQ."""
        await self._publish(
            lambda: self._reports.dead_letter(record, problem, key=key), what="dead letter"
        )

    async def refuse(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey, traceparent: str | None
    ) -> None:
        """Keep the record, and tell that the run of this id goes on untouched."""
        await self.bury(record, problem, key=key)
        await self.notify(record, problem, key=key, traceparent=traceparent)

    async def notify(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey, traceparent: str | None
    ) -> None:
        """Tell that a valid request came to nothing, and that the run goes on untouched."""
        notice = RefusalNotice(
            event_id=event_id("refusal", str(record.position), str(record.timestamp_ms)),
            run_id=key.run_id,
            tenant=key.tenant,
            request=str(record.position),
            problem=problem,
            observed_at=self._now(),
        )
        await self._publish(
            lambda: self._reports.refusal(notice, traceparent=traceparent), what="refusal"
        )

    async def end(
        self,
        record: IncomingRecord,
        problem: Problem,
        *,
        phase: Phase,
        key: RunKey,
        workflow: str | None,
        fingerprint: str | None,
        traceparent: str | None,
    ) -> None:
        """Publish the run's outcome, Rejected or Expired, which spends its id."""
        now = self._now()
        published = PublishedEvent(
            event=StatusEvent(
                event_id=event_id("outcome", str(record.position), str(record.timestamp_ms), phase),
                run_id=key.run_id,
                tenant=key.tenant,
                workflow=workflow,
                workflow_name=workflow_name(key),
                phase=phase,
                terminal=True,
                message=problem.detail,
                problem=problem,
                finished_at=now,
                observed_at=now,
                sequence=0,
            ),
            fingerprint=fingerprint,
            traceparent=traceparent,
        )
        await self._publish(lambda: self._reports.outcome(published), what="outcome")
        await self._ledger.note(published)

    async def _publish(self, send: Callable[[], Awaitable[None]], *, what: str) -> None:
        async def attempt() -> None:
            try:
                await send()
            except RecordRefusedError as e:
                # Verified when the dispatcher started, and changed since: nothing is dropped.
                raise NotYetError(
                    f"The topic takes smaller records than it did: {e}", reason=WaitReason.TOPIC
                ) from e

        await self._retrying.until_clear(attempt, what=what)
