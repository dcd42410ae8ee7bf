"""From a record of the request topic to the services, until it is finished."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from sluice_contracts.ids import RunKey
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import (
    InvalidRecordError,
    ReceivedCommand,
    ReceivedRun,
    decode_request,
    decoded_bytes,
)
from sluice_contracts.tracing import trace_id
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.handlers.key_lock import KeyLock
from sluice_dispatcher.services.commands import CommandExecution
from sluice_dispatcher.services.conclusion import Conclusion
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_dispatcher.services.queued_runs import QueuedRuns
from sluice_dispatcher.services.submission import WorkflowSubmission
from sluice_runtime.backoff import Backoff
from sluice_runtime.retry import retry_forever

__all__ = ["RecordHandler"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_Received = ReceivedRun | ReceivedCommand | InvalidRecordError


class RecordHandler:
    """Finishes records, those of one run in the order of the calls.

    `origins` decides whether a record is from the tenant that it names.
    """

    def __init__(
        self,
        *,
        submission: WorkflowSubmission,
        conclusion: Conclusion,
        commands: CommandExecution,
        queued: QueuedRuns,
        budget: InFlightBudget,
        origins: RecordOrigins,
        backoff: Backoff,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self._submission = submission
        self._conclusion = conclusion
        self._commands = commands
        self._queued = queued
        self._budget = budget
        self._origins = origins
        self._key_lock = KeyLock(budget)
        self._decoding = asyncio.Lock()
        self._backoff = backoff
        self._on_verdict = on_verdict

    async def handle(self, record: IncomingRecord) -> Verdict:
        """Handle a record until it is finished; then its offset may be committed."""
        with bound_contextvars(position=str(record.position)):
            received = await self._handle_until_done(lambda: self._decode(record))
            run = None if received.key is None else str(received.key)
            with bound_contextvars(run=run, trace_id=trace_id(received.traceparent)):
                return await self._finish(record, received)

    async def _finish(self, record: IncomingRecord, received: _Received) -> Verdict:
        # Before the lock: a request that waits would keep the command that is to stop it waiting.
        match received:
            case ReceivedCommand():
                self._queued.stop(received.command)
                verdict = await self._in_order(
                    received.key, lambda: self._commands.execute(record, received)
                )
            case ReceivedRun():
                with self._queued.track(record, received) as queued:
                    verdict = await self._in_order(
                        received.key, lambda: self._submission.submit(queued)
                    )
            case InvalidRecordError():
                verdict = await self._in_order(
                    received.key, lambda: self._conclusion.reject(record, received)
                )
        self._on_verdict(verdict)
        problem = received.problem.type if isinstance(received, InvalidRecordError) else None
        _log.info("request finished", verdict=verdict, problem=problem)
        return verdict

    async def _in_order(
        self, key: RunKey | None, step: Callable[[], Awaitable[Verdict]]
    ) -> Verdict:
        async with self._key_lock.hold(key):
            return await self._handle_until_done(step)

    async def _decode(self, record: IncomingRecord) -> _Received:
        """Decode one record at a time, in the order of the calls, once there is room for it.

        Other tasks run between two records: a batch of large ones would block the event loop for
        seconds.
        """
        async with self._decoding:
            await asyncio.sleep(0)
            await self._budget.reserve_decoded(decoded_bytes(record.value))
            try:
                return decode_request(record, origins=self._origins)
            except InvalidRecordError as e:
                return e

    async def _handle_until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step that a bug lets fail: the record is not lost, and others are handled."""
        failed = False

        async def attempt() -> T:
            if failed:
                self._budget.mark_active()
            return await step()

        def note_failure(error: Exception, pause: float) -> None:
            nonlocal failed
            failed = True
            self._budget.mark_waiting(WaitReason.BUG)
            _log.exception(
                "cannot handle a record, please report this",
                error=type(error).__name__,
                retry_in=pause,
            )

        return await retry_forever(
            attempt, on=Exception, backoff=self._backoff, on_retry=note_failure
        )
