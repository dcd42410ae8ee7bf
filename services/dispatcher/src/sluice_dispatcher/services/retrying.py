"""Trying again in place: infrastructure heals, and until then nothing is lost by waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from sluice_dispatcher.services.in_flight import InFlight, Reason
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiUnavailableError

__all__ = ["NotYetError", "Retrying"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")

# What has failed so often, over some seconds, waits for somebody else; it makes room for others.
_TRIES_IN_PLACE = 4


class NotYetError(Exception):
    """A step that cannot be taken before something else has happened; `reason` says what."""

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class Retrying:
    """Repeats a step until there is a clear answer.

    `width` steps are taken at a time, and besides them a quarter as many of those that have failed
    several times: what is stuck must not keep others from working. Steps therefore never contain
    one another. With `queued`, a record that has to wait for its step to begin counts as waiting
    for that.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        width: int,
        in_flight: InFlight,
        on_retry: Callable[[str], None],
        queued: Reason | None = None,
    ) -> None:
        self._backoff = backoff
        self._slots = asyncio.Semaphore(width)
        self._slots_of_stuck = asyncio.Semaphore(max(1, width // 4))
        self._in_flight = in_flight
        self._on_retry = on_retry
        self._queued = queued

    async def until_clear(self, step: Callable[[], Awaitable[T]], *, what: str) -> T:
        """Run `step` until neither Kafka nor Kubernetes leaves its outcome open.

        A step is therefore one whose repetition does no harm. Its other errors pass through.
        """
        failures = 0
        try:
            while True:
                try:
                    if failures < _TRIES_IN_PLACE:
                        return await self._take(step)
                    async with self._slots_of_stuck:
                        return await step()
                except (KafkaUnavailableError, ApiUnavailableError, NotYetError) as e:
                    failures += 1
                    await self._pause(e, failures, what=what)
        finally:
            self._in_flight.go_on()

    async def _take(self, step: Callable[[], Awaitable[T]]) -> T:
        if self._queued is not None and self._slots.locked():
            self._in_flight.wait_for(self._queued)
        async with self._slots:
            self._in_flight.go_on()
            return await step()

    async def _pause(self, error: Exception, failures: int, *, what: str) -> None:
        retry_after = error.retry_after if isinstance(error, ApiUnavailableError) else 0.0
        pause = self._backoff.delay(failures, at_least=retry_after)
        reason = _reason(error)
        if failures >= _TRIES_IN_PLACE:
            self._in_flight.wait_for(reason)
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


def _reason(error: Exception) -> Reason:
    match error:
        case NotYetError(reason=reason):
            return reason
        case KafkaUnavailableError():
            return Reason.KAFKA
        case ApiUnavailableError(status=401 | 403):
            return Reason.FORBIDDEN
    return Reason.KUBERNETES
