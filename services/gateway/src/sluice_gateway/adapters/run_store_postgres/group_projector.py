"""Projects topics into the store, together with the other replicas: one consumer group.

Kafka shares the partitions among them, and nothing is committed to Kafka: offsets are stored with
the rows. That a partition has one projector is not certain, because one that was frozen does not
know that it has lost its partitions. The store refuses what that one writes.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from sluice_contracts.records import IncomingRecord
from sluice_gateway.adapters.run_store_postgres.store import (
    FencedError,
    Place,
    PostgresStore,
    StoredPlace,
)
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.consumer import incoming, started_consumer
from sluice_runtime.kafka.sessions import run_sessions
from sluice_runtime.projection.last_records import LastRecord, LastRecords, TopicReplacedError
from sluice_runtime.projection.portions import portions

__all__ = ["GroupProjector"]

_log = structlog.get_logger(__name__)

_POLL_MS: Final = 250
_MOST_RECORDS: Final = 2000


class GroupProjector:
    """One member of the group; `make_consumer` makes a consumer that belongs to it."""

    def __init__(
        self,
        store: PostgresStore,
        *,
        topics: Iterable[str],
        make_consumer: Callable[[], AIOKafkaConsumer],
        backoff: Backoff | None = None,
    ) -> None:
        self._store = store
        self._topics = tuple(topics)
        self._make_consumer = make_consumer
        self._backoff = backoff or Backoff()
        self._assignment = _Assignment()
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Project until cancelled; errors of Kafka are retried, those of the database raised."""

        def log_retry(error: Exception, pause: float) -> None:
            _log.warning(
                "projection interrupted", error=type(error).__name__, retry_in=round(pause, 1)
            )

        await run_sessions(self._session, backoff=self._backoff, on_retry=log_retry)

    async def _session(self) -> AsyncGenerator[None]:
        self._assignment = _Assignment()
        async with started_consumer(self._subscribed) as consumer:
            try:
                while True:
                    await self._step(consumer)
                    yield
            finally:
                await self._abandon_write()

    def _subscribed(self) -> AIOKafkaConsumer:
        consumer = self._make_consumer()
        consumer.subscribe(list(self._topics), listener=self._assignment)
        return consumer

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        if self._assignment.is_new:
            await self._begin(consumer)
        batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
        assignment = self._assignment.places
        positions = {
            (tp.topic, tp.partition): await consumer.position(tp)
            for tp in consumer.assignment()
            if (tp.topic, tp.partition) in assignment
        }
        try:
            for topic in self._topics:
                read = [
                    incoming(record)
                    for tp, batch in batches.items()
                    for record in batch
                    if tp.topic == topic
                ]
                await self._project(topic, read, positions)
        except FencedError as e:
            _log.info("partitions have another projector", reason=str(e))
            self._assignment.renew()

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        """Read from the stored offsets on."""
        generation = self._assignment.begin()
        partitions = consumer.assignment()
        starts = await consumer.beginning_offsets(list(partitions))
        places = await self._store.begin(
            {(tp.topic, tp.partition): start for tp, start in starts.items()}
        )
        # Asked for behind the stored offsets, which another projector may have moved until then.
        ends = await consumer.end_offsets(list(partitions))
        for tp in partitions:
            place = places[tp.topic, tp.partition]
            if place.next_offset > ends[tp]:
                await self._forget(tp.topic, place)
                return
        if not self._assignment.take(places, starts=starts, generation=generation):
            return
        for tp in partitions:
            consumer.seek(tp, self._assignment.read_from(tp))

    async def _project(
        self, topic: str, read: Sequence[IncomingRecord], positions: Mapping[Place, int]
    ) -> None:
        places = self._assignment.places
        try:
            records = self._assignment.new(topic, read)
        except TopicReplacedError:
            await self._settle_write()
            await self._forget(topic, next(places[at] for at in places if at[0] == topic))
            return
        for portion in portions(records):
            ends = {each.position.partition: each.position.offset + 1 for each in portion}
            await self._write(topic, portion, ends, places)
        # Positions also pass the end of a transaction, which is not a record. A partition that was
        # revoked since its position was asked for has no place here any more.
        passed = {
            number: position
            for (of, number), position in positions.items()
            if of == topic and (known := places.get((of, number))) and position > known.next_offset
        }
        if passed:
            await self._write(topic, [], passed, places)

    async def _write(
        self,
        topic: str,
        records: Sequence[IncomingRecord],
        ends: Mapping[int, int],
        places: dict[Place, StoredPlace],
    ) -> None:
        """Begin to write; the next records are read and decoded while the database works."""
        changes = await self._store.decode(records)
        last = {each.position.partition: each for each in records}
        moves = {}
        for number, end in ends.items():
            known = places[topic, number]
            record = last.get(number)
            moved = StoredPlace(
                next_offset=end,
                epoch=known.epoch,
                last=known.last
                if record is None
                else LastRecord(record.position.offset, record.timestamp_ms),
            )
            moves[number] = known, moved
        await self._settle_write()
        for number, (_, moved) in moves.items():
            places[topic, number] = moved
        self._writing = asyncio.create_task(self._store.apply(topic, changes, moves=moves))

    async def _settle_write(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def _abandon_write(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()
            await asyncio.wait({writing})

    async def _forget(self, topic: str, place: StoredPlace) -> None:
        _log.warning("topic was replaced by another one, projection starts again", topic=topic)
        await self._store.forget(topic, epoch=place.epoch)
        self._assignment.renew()


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """The partitions that are read here, and how far they are projected."""

    def __init__(self) -> None:
        self.places: dict[Place, StoredPlace] = {}
        self.is_new = False
        self._expected: dict[str, LastRecords] = {}
        self._read_from: dict[Place, int] = {}
        self._generation = 0

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - as aiokafka calls it
        """Project nothing that is still read of them."""
        self._generation += 1
        self.places = {}

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Have their offsets read before anything else."""
        _log.info("partitions to project assigned", partitions=len(assigned))
        self.renew()

    def renew(self) -> None:
        """Have the offsets read again."""
        self._generation += 1
        self.places = {}
        self.is_new = True

    def begin(self) -> int:
        """Return the number of the assignment whose offsets are being read."""
        self.is_new = False
        return self._generation

    def take(
        self,
        places: dict[Place, StoredPlace],
        *,
        starts: Mapping[TopicPartition, int],
        generation: int,
    ) -> bool:
        """Take the offsets that were read; return whether the assignment is still the same."""
        if generation != self._generation:
            return False
        expected: dict[str, dict[Place, LastRecord]] = {}
        self._read_from = {}
        for tp, start in starts.items():
            at = (tp.topic, tp.partition)
            next_offset, last = places[at].next_offset, places[at].last
            self._read_from[at] = next_offset
            if last is not None and last.offset == next_offset - 1 >= start:
                expected.setdefault(tp.topic, {})[at] = last
                self._read_from[at] = last.offset
        self._expected = {topic: LastRecords(last) for topic, last in expected.items()}
        self.places = places
        return True

    def read_from(self, tp: TopicPartition) -> int:
        """Return where to begin: with the record that was projected last, to recognise it."""
        return self._read_from[tp.topic, tp.partition]

    def new(self, topic: str, records: Sequence[IncomingRecord]) -> Sequence[IncomingRecord]:
        """Return the records that are to be projected.

        Raises:
            TopicReplacedError: the topic is not the one that was projected.
        """
        here = [each for each in records if (topic, each.position.partition) in self.places]
        if topic in self._expected:
            here = list(self._expected[topic].without(here))
        return [
            each
            for each in here
            if each.position.offset >= self.places[topic, each.position.partition].next_offset
        ]
