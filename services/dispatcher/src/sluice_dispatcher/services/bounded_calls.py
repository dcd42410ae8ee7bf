"""Trying again in place: infrastructure heals, and until then nothing is lost by waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import structlog

from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlight
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiUnavailableError

__all__ = ["NotYetError", "Retrying"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")

# What has failed so often, or for so long, waits for somebody else; it makes room for others.
_TRIES_IN_PLACE = 4
_SECONDS_IN_PLACE = 5.0
_SLOW_S = 1.0


class NotYetError(Exception):
    """A step that cannot be taken before something else has happened; `reason` says what."""

    def __init__(self, message: str, *, reason: WaitReason) -> None:
        super().__init__(message)
        self.reason = reason


class Retrying:
    """Repeats a step until there is a clear answer.

    `width` steps are taken at a time. What has failed several times, or for some seconds, is stuck,
    and must not keep others from working: a quarter as many stuck steps are taken besides, and as
    many again of those whose calls take long. Steps therefore never contain one another. A record
    that has to wait for its step to begin counts as waiting for `queued` at once, or, without that,
    for its turn after some seconds.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        width: int,
        in_flight: InFlight,
        on_retry: Callable[[str], None],
        queued: WaitReason | None = None,
    ) -> None:
        self._backoff = backoff
        self._slots = asyncio.Semaphore(width)
        self._slots_of_stuck = asyncio.Semaphore(max(1, width // 4))
        self._slots_of_slow = asyncio.Semaphore(max(1, width // 4))
        self._in_flight = in_flight
        self._on_retry = on_retry
        self._queued = queued

    async def until_clear(self, step: Callable[[], Awaitable[T]], *, what: str) -> T:
        """Run `step` until neither Kafka nor Kubernetes leaves its outcome open.

        A step is therefore one whose repetition does no harm. Its other errors pass through.
        """
        failures, taken = 0, 0.0
        loop = asyncio.get_running_loop()
        slot: AbstractAsyncContextManager[None] = self._slot()
        try:
            while True:
                async with slot:
                    began = loop.time()
                    try:
                        return await step()
                    except (KafkaUnavailableError, ApiUnavailableError, NotYetError) as e:
                        error = e
                failures += 1
                took = loop.time() - began
                taken += took
                if failures >= _TRIES_IN_PLACE or taken >= _SECONDS_IN_PLACE:
                    self._in_flight.wait_for(_reason(error))
                    slot = self._slots_of_slow if took >= _SLOW_S else self._slots_of_stuck
                else:
                    slot = self._slot()
                await self._pause(error, failures, what=what)
        finally:
            self._in_flight.go_on()

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold a place among the calls; whoever waits long for one makes room for others."""
        if self._queued is not None and self._slots.locked():
            self._in_flight.wait_for(self._queued)
        waiting = asyncio.get_running_loop().call_later(
            _SECONDS_IN_PLACE, self._in_flight.waiter(self._queued or WaitReason.SLOT)
        )
        try:
            await self._slots.acquire()
        finally:
            waiting.cancel()
        try:
            self._in_flight.go_on()
            yield
        finally:
            self._slots.release()

    async def _pause(self, error: Exception, failures: int, *, what: str) -> None:
        retry_after = error.retry_after if isinstance(error, ApiUnavailableError) else 0.0
        pause = self._backoff.delay(failures, at_least=retry_after)
        reason = _reason(error)
        self._on_retry(what)
        _log.warning(
            "trying again",
            what=what,
            waits_for=reason,
            error=str(error),
            failures=failures,
            retry_in=pause,
        )
        await asyncio.sleep(pause)


def _reason(error: Exception) -> WaitReason:
    match error:
        case NotYetError(reason=reason):
            return reason
        case KafkaUnavailableError():
            return WaitReason.KAFKA
        case ApiUnavailableError(status=401 | 403):
            return WaitReason.FORBIDDEN
    return WaitReason.KUBERNETES
