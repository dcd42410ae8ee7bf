"""Publishing that a request does not become a run.

A crash may end this anywhere, and the record is then delivered again. Each step can be repeated,
and the results record comes last: an outcome in the ledger means that every step is done. The
exception is a run that a command has stopped, see `publish_cancellation`.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import Problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import InvalidRecordError
from sluice_contracts.requests import Command
from sluice_contracts.status import AppliedCommand, Phase, StatusEvent, event_id
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
            lambda: self._publisher.publish_refusal(
                notice, refused=record, traceparent=traceparent
            ),
            name="refusal",
        )

    async def publish_outcome(
        self, record: IncomingRecord, invalid: InvalidRecordError, *, key: RunKey, phase: Phase
    ) -> None:
        """Publish the run's outcome, Rejected or Expired, which uses up its id."""
        published = self._outcome(record, invalid, key=key, phase=phase)
        await self._publish(lambda: self._publisher.publish_outcome(published), name="outcome")
        await self._ledger.record(published)

    async def publish_cancellation(
        self,
        record: IncomingRecord,
        invalid: InvalidRecordError,
        *,
        key: RunKey,
        command: Command | None,
    ) -> None:
        """Publish that a run was stopped that was not a Workflow yet, by a command or by a rule.

        The results record comes first here: it is what keeps the next owner of the partition from
        creating the Workflow. `complete_cancellation` makes up for a crash before the other one.
        """
        published = self._outcome(record, invalid, key=key, phase=Phase.REJECTED, command=command)
        await self._publish(lambda: self._publisher.publish_result(published), name="outcome")
        await self._ledger.record(published)
        await self._publish(lambda: self._publisher.publish_status(published), name="outcome")

    async def complete_cancellation(
        self, record: IncomingRecord, *, key: RunKey, traceparent: str | None
    ) -> None:
        """Publish the run's outcome to the status topic again, if this request was stopped.

        The ledger has it from the results topic, and a crash may have come between the two.
        """
        entry = await self._ledger.get(key)
        if entry is None or entry.cancelled is None:
            return
        if entry.cancelled.event_id != _outcome_id(record, Phase.REJECTED):
            return
        published = PublishedEvent(
            event=entry.cancelled, fingerprint=entry.fingerprint, traceparent=traceparent
        )
        await self._publish(lambda: self._publisher.publish_status(published), name="outcome")

    def _outcome(
        self,
        record: IncomingRecord,
        invalid: InvalidRecordError,
        *,
        key: RunKey,
        phase: Phase,
        command: Command | None = None,
    ) -> PublishedEvent:
        now, request = self._now(), invalid.request
        return PublishedEvent(
            event=StatusEvent(
                event_id=_outcome_id(record, phase),
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
                requested_by=invalid.requested_by,
                accepted_at=datetime.fromtimestamp(record.timestamp_ms / 1000, tz=UTC),
                last_command=None
                if command is None
                else AppliedCommand(type=command.type, reason=command.reason, applied_at=now),
                finished_at=now,
                observed_at=now,
                sequence=0,
            ),
            fingerprint=invalid.fingerprint,
            traceparent=invalid.traceparent,
        )

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


def _outcome_id(record: IncomingRecord, phase: Phase) -> str:
    return event_id("outcome", str(record.position), str(record.timestamp_ms), phase)
