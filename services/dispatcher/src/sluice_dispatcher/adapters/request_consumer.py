"""The task that polls the request topics all the time, and commits what is finished."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from sluice_contracts.records import IncomingRecord
from sluice_dispatcher.adapters.in_flight_records import InFlightRecords
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.consumer import incoming, started_consumer
from sluice_runtime.kafka.sessions import run_sessions

__all__ = ["RequestConsumer"]

_log = structlog.get_logger(__name__)

_IDLE_POLL_MS = 1000
# Short, because room may come while all partitions are paused.
_PAUSED_POLL_MS = 100
# Far less than max_poll_interval_ms.
_WITHOUT_POLL_S = 30.0
# A poll waits for the end of a rebalance, however long that takes.
_SILENT_S = 90.0
# Bounds what one poll may add before the bytes are counted.
_MAX_BATCH = 64


class RequestConsumer:
    """Reads the request topics as a member of the dispatchers' consumer group.

    It polls even when it has no room for long (all partitions are paused then) or no partition. A
    member that does not poll is removed from the group and may never return (aiokafka #1187).

    Args:
        handle: finishes one record; its offset may be committed then.
        on_assigned: called before the first record of a new assignment is handled.
        most_uncommitted: records of a partition that may be read, from its oldest unfinished on.
        drain_grace: for finishing records when partitions are revoked or the process stops.
    """

    def __init__(
        self,
        *,
        topics: Iterable[str],
        make_consumer: Callable[[], AIOKafkaConsumer],
        handle: Callable[[IncomingRecord], Awaitable[object]],
        budget: InFlightBudget,
        most_uncommitted: int,
        commit_interval: timedelta,
        drain_grace: timedelta,
        on_assigned: Callable[[], None] = lambda: None,
        backoff: Backoff | None = None,
    ) -> None:
        self._topics = tuple(topics)
        self._make_consumer = make_consumer
        self._handle = handle
        self._budget = budget
        self._most_uncommitted = most_uncommitted
        self._commit_interval = commit_interval.total_seconds()
        self._drain_grace = drain_grace.total_seconds()
        self._on_assigned = on_assigned
        self._backoff = backoff or Backoff()
        self._records = self._new_records()
        self._full_since: float | None = None
        self._polled_at = 0.0
        self._lag: int | None = None
        self._connected = False

    def waiting_for(self) -> str | None:
        """Return why no new records are handled, for a probe; None while they are."""
        if not self._connected:
            return "the request topic cannot be read"
        silent = asyncio.get_running_loop().time() - self._polled_at
        if silent > _SILENT_S:
            return f"the request topic has not been polled for {silent:.0f} s (a rebalance?)"
        if (blocked := self._budget.blocked_by()) is not None:
            return blocked
        for partition, offset in self._records.stuck.items():
            several = len(self._topics) > 1
            where = (
                f"{partition.partition} of {partition.topic}" if several else partition.partition
            )
            return (
                f"partition {where} is paused: {self._most_uncommitted} records "
                f"behind offset {offset}, which is not finished, cannot be committed"
            )
        return None

    def degraded(self) -> str | None:
        """Return which topics are not read on while others are; None if all are."""
        blocked = self._budget.blocked_topics()
        if not blocked:
            return None
        return f"too many records wait of {', '.join(sorted(blocked))}"

    @property
    def in_flight(self) -> int:
        """Records in flight, active or waiting."""
        return self._records.count

    @property
    def lag(self) -> int:
        """Records on the assigned partitions that have not been read."""
        return self._lag or 0

    async def run(self) -> None:
        """Read until cancelled; after errors of Kafka the next session begins after a pause."""

        def log_retry(error: Exception, pause: float) -> None:
            _log.warning("request consumer interrupted", error=type(error).__name__, retry_in=pause)

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
        consumer.subscribe(list(self._topics), listener=_RebalanceListener(self, consumer))
        return consumer

    async def _poll(self, consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        next_commit = loop.time() + self._commit_interval
        while True:
            if await self._may_poll():
                await self._read(consumer)
            self._records.check()
            if loop.time() >= next_commit:
                await self._commit(consumer)
                self._update_lag(consumer)
                next_commit = loop.time() + self._commit_interval
            yield

    async def _may_poll(self) -> bool:
        """Return whether to poll now; waits a little for room.

        To poll without room, all partitions have to be paused, and aiokafka discards what it has
        fetched of a paused partition. So a short lack of room is waited out, but not so long that
        commits or the group membership suffer.
        """
        now = asyncio.get_running_loop().time()
        if not self._budget.full:
            self._full_since = None
            return True
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since >= _WITHOUT_POLL_S:
            return True
        await self._budget.wait_for_room(within=min(self._commit_interval, _WITHOUT_POLL_S))
        return not self._budget.full

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        paused = self._pause_and_resume(consumer)
        batches = await consumer.getmany(
            timeout_ms=_PAUSED_POLL_MS if paused else _IDLE_POLL_MS,
            max_records=min(_MAX_BATCH, self._budget.room),
        )
        self._connected = True
        self._polled_at = asyncio.get_running_loop().time()
        for batch in batches.values():
            for record in batch:
                self._records.start(incoming(record))

    def _pause_and_resume(self, consumer: AIOKafkaConsumer) -> bool:
        """Pause partitions without room and resume others; return whether all are paused."""
        assigned = consumer.assignment()
        paused = consumer.paused()
        to_pause = assigned if self._budget.full else assigned & self._records.stuck.keys()
        if len(self._topics) > 1:
            # Alone, a topic without room makes the budget full, which is waited out.
            blocked = self._budget.blocked_topics()
            to_pause |= {partition for partition in assigned if partition.topic in blocked}
        consumer.pause(*(to_pause - paused))
        consumer.resume(*(paused - to_pause))
        return bool(assigned) and to_pause == assigned

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        offsets = self._records.committable()
        if not offsets:
            return
        records = self._records
        try:
            # commit() retries for as long as the coordinator is away.
            async with asyncio.timeout(5):
                await consumer.commit(offsets)
        except (KafkaError, TimeoutError) as e:
            # The records are finished; without a commit they are redelivered and recognised.
            _log.warning("commit failed", error=type(e).__name__)
            return
        records.committed(offsets)

    async def drain(self, consumer: AIOKafkaConsumer) -> None:
        """Finish or abandon the records in flight, commit, and start no more for now."""
        await self._records.close(grace=self._drain_grace)
        await self._commit(consumer)

    def start_assignment(self) -> None:
        """Accept records of a new assignment; reading resumes from what was committed."""
        self._on_assigned()
        self._records = self._new_records()

    def _new_records(self) -> InFlightRecords:
        return InFlightRecords(
            self._handle, budget=self._budget, most_uncommitted=self._most_uncommitted
        )

    def _update_lag(self, consumer: AIOKafkaConsumer) -> None:
        lags = []
        for partition in consumer.assignment():
            end: int | None = consumer.highwater(partition)
            state: Any = consumer._subscription.subscription.assignment.state_value(partition)  # noqa: SLF001 - position() waits, and this must not
            if end is not None and state.has_valid_position:
                lags.append(max(0, end - state.position))
        self._lag = sum(lags)


class _RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """Finishes the records in flight before their partitions get another owner."""

    def __init__(self, owner: RequestConsumer, consumer: AIOKafkaConsumer) -> None:
        self._owner = owner
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            _log.info("partitions revoked", partitions=len(revoked))
            await self._owner.drain(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        _log.info("partitions assigned", partitions=len(assigned))
        self._owner.start_assignment()
