"""How far the store is behind the topics, whichever replica projects them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer

from sluice_gateway.adapters.run_store_postgres.store import Place
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.consumer import partitions_of, started_consumer
from sluice_runtime.kafka.sessions import run_sessions

__all__ = ["ProjectionProgress"]

_log = structlog.get_logger(__name__)

_ASK_EVERY_S: Final = 1.0


class ProjectionProgress:
    """Compares the ends of the topics, as Kafka has them, with what was announced to be projected.

    `make_consumer` makes a consumer without a group. Times are those of the event loop's clock.
    """

    def __init__(
        self,
        *,
        topics: Iterable[str],
        make_consumer: Callable[[], AIOKafkaConsumer],
        backoff: Backoff | None = None,
    ) -> None:
        self._topics = tuple(topics)
        self._make_consumer = make_consumer
        self._backoff = backoff or Backoff()
        self._projected: dict[Place, int] = {}
        self._complete_as_of: float | None = None
        self._wanted = 0.0
        self._asked = 0.0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Compare until cancelled; errors of Kafka are retried."""

        def log_retry(error: Exception, pause: float) -> None:
            _log.warning(
                "ends of topics unknown", error=type(error).__name__, retry_in=round(pause, 1)
            )

        await run_sessions(self._session, backoff=self._backoff, on_retry=log_retry)

    def note(self, offsets: Mapping[Place, int]) -> None:
        """Note the next offsets to project of some partitions."""
        self._projected |= offsets
        self._wake()

    def staleness(self) -> float | None:
        """Return the age, in seconds, of the topics' state that the store is known to hold.

        None until the store has once caught up.
        """
        if self._complete_as_of is None:
            return None
        return asyncio.get_running_loop().time() - self._complete_as_of

    def waiting_for(self) -> str | None:
        """Return why the topics were never seen to be projected to their end; None if they were."""
        return "the topics are still being read" if self._complete_as_of is None else None

    async def wait_caught_up(self, *, as_of: float) -> None:
        """Wait until the store holds all records of `as_of`, a time on the loop's clock."""
        self._wanted = max(self._wanted, as_of)
        self._wake()
        # Equal times are not enough: ends asked for at that moment may miss a record.
        while self._complete_as_of is None or self._complete_as_of <= as_of:
            await self._changed.wait()

    async def _session(self) -> AsyncGenerator[None]:
        loop = asyncio.get_running_loop()
        async with started_consumer(self._make_consumer) as consumer:
            while True:
                partitions = await partitions_of(consumer, self._topics)
                asked = loop.time()
                ends = await consumer.end_offsets(list(partitions))
                yield
                await self._projected_to({(tp.topic, tp.partition): at for tp, at in ends.items()})
                self._complete_as_of = asked
                self._wake()
                await self._pause(after=asked)

    async def _projected_to(self, ends: Mapping[Place, int]) -> None:
        while any(self._projected.get(place, 0) < end for place, end in ends.items()):
            await self._changed.wait()

    async def _pause(self, *, after: float) -> None:
        """Wait for a while, but not if somebody wants to know more than is known."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_EVERY_S):
                while self._wanted < after:
                    await self._changed.wait()

    def _wake(self) -> None:
        """Let all who wait look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
