"""One record of the request topic: read it, let the services decide, say what became of it."""

import asyncio
from collections.abc import Callable

import structlog

from sluice_contracts.records import IncomingRecord
from sluice_contracts.request_codec import (
    InvalidRecordError,
    ReceivedCommand,
    ReceivedRun,
    decode_request,
)
from sluice_contracts.tracing import trace_id
from sluice_dispatcher.handlers.lanes import Lanes
from sluice_dispatcher.services.commanding import Commanding
from sluice_dispatcher.services.dispatching import Dispatching
from sluice_dispatcher.services.verdicts import Verdict
from sluice_runtime.backoff import Backoff

__all__ = ["RecordHandler"]

_log = structlog.get_logger(__name__)


class RecordHandler:
    """Finishes records; those of one run one after another, in the order of the calls."""

    def __init__(
        self,
        *,
        dispatching: Dispatching,
        commanding: Commanding,
        lanes: Lanes,
        backoff: Backoff,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self._dispatching = dispatching
        self._commanding = commanding
        self._lanes = lanes
        self._backoff = backoff
        self._on_verdict = on_verdict

    async def handle(self, record: IncomingRecord) -> Verdict:
        """See the record through, whatever it takes; returns when its offset may be committed."""
        received: ReceivedRun | ReceivedCommand | InvalidRecordError
        try:
            received = decode_request(record)
        except InvalidRecordError as e:
            received = e
        async with self._lanes.turn(received.key):
            verdict = await self._see_through(record, received)
        self._on_verdict(verdict)
        _log.info(
            "request finished",
            verdict=verdict,
            run=None if received.key is None else str(received.key),
            position=str(record.position),
            trace_id=trace_id(received.traceparent),
            problem=received.problem.type if isinstance(received, InvalidRecordError) else None,
        )
        return verdict

    async def _see_through(
        self, record: IncomingRecord, received: ReceivedRun | ReceivedCommand | InvalidRecordError
    ) -> Verdict:
        failures = 0
        while True:
            try:
                return await self._decide(record, received)
            except Exception as e:  # noqa: BLE001 - a bug: its record is neither lost nor in the way
                failures += 1
                pause = self._backoff.delay(failures)
                _log.exception(
                    "cannot handle a record, please report this",
                    position=str(record.position),
                    error=type(e).__name__,
                    retry_in=pause,
                )
                await asyncio.sleep(pause)

    async def _decide(
        self, record: IncomingRecord, received: ReceivedRun | ReceivedCommand | InvalidRecordError
    ) -> Verdict:
        match received:
            case ReceivedRun():
                return await self._dispatching.run(record, received)
            case ReceivedCommand():
                return await self._commanding.command(record, received)
            case InvalidRecordError():
                return await self._dispatching.reject(record, received)
