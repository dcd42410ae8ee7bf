"""The one task that always polls: it reads, hands out, and commits what is finished."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.adapters.in_flight_records import Assignment
from sluice_dispatcher.services.in_flight_budget import InFlight
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.consumer import incoming, started_consumer
from sluice_runtime.kafka.sessions import run_sessions

__all__ = ["Pump"]

_log = structlog.get_logger(__name__)

_IDLE_POLL_MS = 1000
# While paused there is nothing to read, but the sooner there is room the better.
_PAUSED_POLL_MS = 100
# Far less than max_poll_interval_ms.
_WITHOUT_POLL_S = 30.0
# aiokafka's polls wait for the end of a rebalance, however long that takes.
_SILENT_S = 90.0
# So many records are held at once, before their bytes are looked at.
_MAX_BATCH = 64


class Pump:
    """Reads the request topic in the group of dispatchers.

    It polls even when it is full for long (with all partitions paused) or has no partition at all:
    a member that does not poll loses its place in the group and may never get it back (aiokafka
    #1187).
    """

    def __init__(
        self,
        *,
        topic: str,
        make_consumer: Callable[[], AIOKafkaConsumer],
        handle: Callable[[IncomingRecord], Awaitable[object]],
        in_flight: InFlight,
        most_uncommitted: int,
        commit_interval: timedelta,
        drain_grace: timedelta,
        backoff: Backoff | None = None,
    ) -> None:
        self._topic = topic
        self._make_consumer = make_consumer
        self._handle = handle
        self._in_flight = in_flight
        self._most_uncommitted = most_uncommitted
        self._commit_interval = commit_interval.total_seconds()
        self._drain_grace = drain_grace.total_seconds()
        self._backoff = backoff or Backoff()
        self._assignment = self._new_assignment()
        self._full_since: float | None = None
        self._polled_at = 0.0
        self._lag: int | None = None
        self._connected = False

    def waiting_for(self) -> str | None:
        """Say what a probe should: None while new records are read and worked on."""
        if not self._connected:
            return "the request topic cannot be read"
        silent = asyncio.get_running_loop().time() - self._polled_at
        if silent > _SILENT_S:
            return f"the request topic has not been polled for {silent:.0f} s (a rebalance?)"
        if (blocked := self._in_flight.blocked_by()) is not None:
            return blocked
        for partition, offset in self._assignment.stuck.items():
            return (
                f"partition {partition.partition} is not read on: {self._most_uncommitted} records "
                f"behind offset {offset}, which is not finished, cannot be committed"
            )
        return None

    @property
    def in_flight(self) -> int:
        """Records being worked on, those that wait included."""
        return self._assignment.in_flight

    @property
    def lag(self) -> int:
        """Records on our partitions that nobody has begun to work on."""
        return self._lag or 0

    async def run(self) -> None:
        """Read for ever; what goes wrong with Kafka is tried again with growing pauses."""

        def log_retry(error: Exception, pause: float) -> None:
            _log.warning("reading interrupted", error=type(error).__name__, retry_in=pause)

        await run_sessions(self._session, backoff=self._backoff, on_retry=log_retry)

    async def _session(self) -> AsyncGenerator[None]:
        async with started_consumer(self._subscribed_consumer) as consumer:
            try:
                async for step in self._poll(consumer):
                    yield step
            finally:
                self._connected = False
                await self.drain(consumer)

    def _subscribed_consumer(self) -> AIOKafkaConsumer:
        consumer = self._make_consumer()
        consumer.subscribe([self._topic], listener=_Rebalance(self, consumer))
        return consumer

    async def _poll(self, consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        next_commit = loop.time() + self._commit_interval
        while True:
            if await self._may_poll():
                await self._read(consumer)
            self._assignment.check()
            if loop.time() >= next_commit:
                await self._commit(consumer)
                self._note_lag(consumer)
                next_commit = loop.time() + self._commit_interval
            yield

    async def _may_poll(self) -> bool:
        """Wait for room, but not for long: commits are due, and a member has to poll.

        Whoever polls while there is no room has to pause, and aiokafka throws away what it has
        fetched of a partition that is paused: a short lack of room is better waited out.
        """
        now = asyncio.get_running_loop().time()
        if not self._in_flight.full:
            self._full_since = None
            return True
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since >= _WITHOUT_POLL_S:
            return True
        await self._in_flight.until_room(within=min(self._commit_interval, _WITHOUT_POLL_S))
        return not self._in_flight.full

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        paused = self._adjust_pace(consumer)
        batches = await consumer.getmany(
            timeout_ms=_PAUSED_POLL_MS if paused else _IDLE_POLL_MS,
            max_records=min(_MAX_BATCH, self._in_flight.room),
        )
        self._connected = True
        self._polled_at = asyncio.get_running_loop().time()
        for batch in batches.values():
            for record in batch:
                self._assignment.take(incoming(record))

    def _adjust_pace(self, consumer: AIOKafkaConsumer) -> bool:
        """Pause what must not be read on, resume what may; tell whether all of it is paused."""
        assigned = consumer.assignment()
        paused = consumer.paused()
        to_pause = assigned if self._in_flight.full else assigned & self._assignment.stuck.keys()
        consumer.pause(*(to_pause - paused))
        consumer.resume(*(paused - to_pause))
        return bool(assigned) and to_pause == assigned

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        offsets = self._assignment.committable()
        if not offsets:
            return
        assignment = self._assignment
        try:
            # commit() would try for as long as the coordinator is away.
            async with asyncio.timeout(5):
                await consumer.commit(offsets)
        except (KafkaError, TimeoutError) as e:
            # The records are finished; if the commit never comes they are delivered once more.
            _log.warning("commit failed", error=type(e).__name__)
            return
        assignment.committed(offsets)

    async def drain(self, consumer: AIOKafkaConsumer) -> None:
        """Finish or give up what is in hand, commit it, and take nothing more for now."""
        await self._assignment.close(grace=self._drain_grace)
        await self._commit(consumer)

    def begin(self) -> None:
        """Start on a new assignment; reading goes on from what was committed."""
        self._assignment = self._new_assignment()

    def _new_assignment(self) -> Assignment:
        return Assignment(
            self._handle, in_flight=self._in_flight, most_uncommitted=self._most_uncommitted
        )

    def _note_lag(self, consumer: AIOKafkaConsumer) -> None:
        lags = []
        for partition in consumer.assignment():
            end: int | None = consumer.highwater(partition)
            state: Any = consumer._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001 - position() waits, and this must not
            if end is not None and state.has_valid_position:
                lags.append(max(0, end - state.position))
        self._lag = sum(lags)


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """Finishes the work in hand before the partitions go to somebody else."""

    def __init__(self, pump: Pump, consumer: AIOKafkaConsumer) -> None:
        self._pump = pump
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            _log.info("partitions revoked", partitions=len(revoked))
            await self._pump.drain(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        _log.info("partitions assigned", partitions=len(assigned))
        self._pump.begin()
