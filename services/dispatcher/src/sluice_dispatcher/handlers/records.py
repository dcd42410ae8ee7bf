"""One record of the request topic: read it, let the services decide, say what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

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
from sluice_dispatcher.handlers.key_lock import Lanes
from sluice_dispatcher.services.commands import Commanding
from sluice_dispatcher.services.in_flight_budget import InFlight
from sluice_dispatcher.services.submission import Dispatching
from sluice_runtime.backoff import Backoff

__all__ = ["RecordHandler"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_Received = ReceivedRun | ReceivedCommand | InvalidRecordError


class RecordHandler:
    """Finishes records; those of one run one after another, in the order of the calls."""

    def __init__(
        self,
        *,
        dispatching: Dispatching,
        commanding: Commanding,
        in_flight: InFlight,
        backoff: Backoff,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self._dispatching = dispatching
        self._commanding = commanding
        self._in_flight = in_flight
        self._lanes = Lanes(in_flight)
        self._decoding = asyncio.Lock()
        self._backoff = backoff
        self._on_verdict = on_verdict

    async def handle(self, record: IncomingRecord) -> Verdict:
        """See the record through, whatever it takes; returns when its offset may be committed."""
        received = await self._see_through(record, lambda: self._decode(record))
        async with self._lanes.turn(received.key):
            verdict = await self._see_through(record, lambda: self._decide(record, received))
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

    async def _decode(self, record: IncomingRecord) -> _Received:
        """Decode one record at a time, in the order of the calls, once there is room for it.

        Between two, the event loop gets to do what else there is: a batch of large records would
        block it for seconds.
        """
        async with self._decoding:
            await asyncio.sleep(0)
            await self._in_flight.decode(decoded_bytes(record.value))
            try:
                return decode_request(record)
            except InvalidRecordError as e:
                return e

    async def _see_through(self, record: IncomingRecord, step: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await step()
            except Exception as e:  # noqa: BLE001 - a bug: its record is neither lost nor in the way
                failures += 1
                pause = self._backoff.delay(failures)
                _log.exception(
                    "cannot handle a record, please report this",
                    position=str(record.position),
                    error=type(e).__name__,
                    retry_in=pause,
                )
                self._in_flight.wait_for(WaitReason.BUG)
                await asyncio.sleep(pause)
                self._in_flight.go_on()

    async def _decide(self, record: IncomingRecord, received: _Received) -> Verdict:
        match received:
            case ReceivedRun():
                return await self._dispatching.run(record, received)
            case ReceivedCommand():
                return await self._commanding.command(record, received)
            case InvalidRecordError():
                return await self._dispatching.reject(record, received)
