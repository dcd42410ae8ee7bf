"""Calls to Kafka and Kubernetes: a bounded number at a time, each retried until it is answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import structlog

from sluice_dispatcher.domain.wait_reason import MustWaitError, WaitReason
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from sluice_runtime.retry import retry_forever

__all__ = ["BoundedCalls"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")

# After so many failures, or seconds, a record counts as waiting and makes room for another.
_ACTIVE_FAILURES = 4
_ACTIVE_S = 5.0
_SLOW_S = 1.0


class BoundedCalls:
    """Runs steps, at most `limit` at a time, and retries each until its answer is clear.

    A step that keeps failing must not take slots from new ones. It moves to slots of its own, a
    quarter as many; steps whose calls also take long have a quarter to themselves. A step must not
    run another one, or it could wait for its own slot.

    Args:
        limit: how many steps run at a time.
        budget: the records in flight, to count those as waiting whose step cannot proceed.
        on_retry: called with the name of each step that is retried.
        queue_reason: what a record waits for that does not get a slot at once. None: it counts as
            waiting for a slot after some seconds.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        limit: int,
        budget: InFlightBudget,
        on_retry: Callable[[str], None],
        queue_reason: WaitReason | None = None,
    ) -> None:
        self._backoff = backoff
        self._slots = asyncio.Semaphore(limit)
        self._stuck_slots = asyncio.Semaphore(max(1, limit // 4))
        self._slow_slots = asyncio.Semaphore(max(1, limit // 4))
        self._budget = budget
        self._on_retry = on_retry
        self._queue_reason = queue_reason

    async def run(self, step: Callable[[], Awaitable[T]], *, name: str) -> T:
        """Return what `step` returns, once Kafka or Kubernetes has answered clearly.

        Repeating the step must do no harm. It is repeated after KafkaUnavailableError,
        ApiUnavailableError and MustWaitError; other errors pass through.
        """
        failures, seconds, last_seconds = 0, 0.0, 0.0
        loop = asyncio.get_running_loop()
        other_slots: asyncio.Semaphore | None = None

        async def attempt() -> T:
            nonlocal last_seconds
            async with other_slots or self._slot():
                began = loop.time()
                try:
                    return await step()
                finally:
                    last_seconds = loop.time() - began

        def failed(error: Exception, pause: float) -> None:
            nonlocal failures, seconds, other_slots
            failures += 1
            seconds += last_seconds
            if failures >= _ACTIVE_FAILURES or seconds + pause >= _ACTIVE_S:
                self._budget.mark_waiting(_wait_reason(error))
                other_slots = self._slow_slots if last_seconds >= _SLOW_S else self._stuck_slots
            self._on_retry(name)
            _log.warning(
                "step failed, retrying",
                step=name,
                reason=_wait_reason(error),
                error=str(error),
                failures=failures,
                retry_in=pause,
            )

        try:
            return await retry_forever(
                attempt,
                on=(KafkaUnavailableError, ApiUnavailableError, MustWaitError),
                backoff=self._backoff,
                on_retry=failed,
            )
        finally:
            self._budget.mark_active()

    async def repeat(
        self,
        step: Callable[[], Awaitable[T]],
        *,
        on: type[Exception],
        reason: WaitReason,
        name: str,
    ) -> T:
        """Return what `step` returns; it is repeated after the error, and takes no slot itself.

        So it may run other steps, and wait for what they must not wait for. Its record counts as
        waiting until the next of them.
        """

        def failed(error: Exception, pause: float) -> None:
            self._budget.mark_waiting(reason)
            self._on_retry(name)
            _log.warning(
                "step failed, retrying", step=name, reason=reason, error=str(error), retry_in=pause
            )

        return await retry_forever(step, on=on, backoff=self._backoff, on_retry=failed)

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold a slot; a record that queues long for one makes room for others."""
        if self._queue_reason is not None and self._slots.locked():
            self._budget.mark_waiting(self._queue_reason)
        queueing = asyncio.get_running_loop().call_later(
            _ACTIVE_S,
            self._budget.mark_waiting,
            self._queue_reason or WaitReason.SLOT,
            asyncio.current_task(),
        )
        try:
            await self._slots.acquire()
        finally:
            queueing.cancel()
        try:
            self._budget.mark_active()
            yield
        finally:
            self._slots.release()


def _wait_reason(error: Exception) -> WaitReason:
    match error:
        case MustWaitError(reason=reason):
            return reason
        case KafkaUnavailableError():
            return WaitReason.KAFKA
        case ApiUnavailableError(status=401 | 403):
            return WaitReason.FORBIDDEN
    return WaitReason.KUBERNETES
