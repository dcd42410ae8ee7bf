"""Publishing that a request does not become a run.

A crash may end this anywhere, and the record is then delivered again. Each step can be repeated,
and the results record comes last: an outcome in the ledger means that every step is done.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_contracts.status_codec import PublishedEvent
from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.ports import Ledger, OutcomePublisher
from sluice_dispatcher.services.bounded_calls import BoundedCalls
from sluice_runtime.kafka.errors import RecordRefusedError

__all__ = ["Rejection"]


class Rejection:
    """Publishes dead letters, refusals and the outcomes of runs that never began."""

    def __init__(
        self,
        *,
        publisher: OutcomePublisher,
        ledger: Ledger,
        calls: BoundedCalls,
        now: Callable[[], datetime],
    ) -> None:
        self._publisher = publisher
        self._ledger = ledger
        self._calls = calls
        self._now = now

    async def dead_letter(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey | None
    ) -> None:
        """Keep the record on the dead letter topic."""
        await self._publish(
            lambda: self._publisher.publish_dead_letter(record, problem, key=key),
            name="dead letter",
        )

    async def refuse(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey, traceparent: str | None
    ) -> None:
        """Keep the record as a dead letter, and publish that the run with its id continues."""
        await self.dead_letter(record, problem, key=key)
        await self.notify(record, problem, key=key, traceparent=traceparent)

    async def notify(
        self, record: IncomingRecord, problem: Problem, *, key: RunKey, traceparent: str | None
    ) -> None:
        """Publish that the request has no effect, and that the run with its id continues."""
        notice = RefusalNotice(
            event_id=event_id("refusal", str(record.position), str(record.timestamp_ms)),
            run_id=key.run_id,
            tenant=key.tenant,
            request=str(record.position),
            problem=problem,
            observed_at=self._now(),
        )
        await self._publish(
            lambda: self._publisher.publish_refusal(notice, traceparent=traceparent),
            name="refusal",
        )

    async def publish_outcome(
        self, record: IncomingRecord, invalid: InvalidRecordError, *, key: RunKey, phase: Phase
    ) -> None:
        """Publish the run's outcome, Rejected or Expired, which uses up its id."""
        now, request = self._now(), invalid.request
        published = PublishedEvent(
            event=StatusEvent(
                event_id=event_id("outcome", str(record.position), str(record.timestamp_ms), phase),
                run_id=key.run_id,
                tenant=key.tenant,
                workflow=invalid.workflow,
                workflow_name=workflow_name(key),
                phase=phase,
                terminal=True,
                message=invalid.problem.detail,
                problem=invalid.problem,
                labels=request.labels if request else {},
                priority=request.priority if request else "normal",
                parent=request.parent if request else None,
                accepted_at=datetime.fromtimestamp(record.timestamp_ms / 1000, tz=UTC),
                finished_at=now,
                observed_at=now,
                sequence=0,
            ),
            fingerprint=invalid.fingerprint,
            traceparent=invalid.traceparent,
        )
        await self._publish(lambda: self._publisher.publish_outcome(published), name="outcome")
        await self._ledger.record(published)

    async def _publish(self, send: Callable[[], Awaitable[None]], *, name: str) -> None:
        async def attempt() -> None:
            try:
                await send()
            except RecordRefusedError as e:
                # Its size limit was verified at the start and lowered since: nothing is dropped.
                raise MustWaitError(
                    f"The topic accepts smaller records than before: {e}", reason=WaitReason.TOPIC
                ) from e

        await self._calls.run(attempt, name=name)
