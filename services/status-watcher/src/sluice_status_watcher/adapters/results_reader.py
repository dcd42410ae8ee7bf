"""Reads the results topics: once from a time to their end, or as they grow."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sluice_argo.outcomes import Outcome
from sluice_contracts.records import IncomingRecord, OutgoingRecord
from sluice_contracts.status_codec import ForeignRecordError, PublishedEvent, decode_status
from sluice_contracts.topic_sets import TopicSets
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import incoming, partitions_of, started_consumer
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.domain.published_outcome import AppendedOutcome, OutcomeRecord

__all__ = ["KafkaResultsReader", "appended", "outcome_of"]

_POLL_MS = 1000


class KafkaResultsReader:
    """The `ResultsReader` on top of a consumer.

    Args:
        make_consumer: makes a consumer for each read.
        topics: the topics of each tenant.
        patience: for Kafka to connect, to answer, and to send the next records.
    """

    def __init__(
        self,
        make_consumer: Callable[[], AIOKafkaConsumer],
        *,
        topics: TopicSets,
        patience: timedelta = timedelta(seconds=30),
    ) -> None:
        self._make_consumer = make_consumer
        self._topics = topics
        self._patience = patience

    async def find(
        self, wanted: Mapping[str, bytes], *, since: datetime
    ) -> dict[str, OutcomeRecord]:
        """See `ResultsReader.find`."""
        keys = set(wanted.values())
        topics = self._topics_of(keys)
        found: dict[str, OutcomeRecord] = {}
        try:
            async with started_consumer(self._make_consumer, within=self._patience) as consumer:
                async for record in self._records(consumer, topics, since=since):
                    # Most records are of other runs, and need not be decoded.
                    if record.key in keys and (outcome := outcome_of(record)) is not None:
                        uid, read = outcome
                        if uid in wanted and not _is_older(read, found.get(uid)):
                            found[uid] = read
        except (KafkaError, OSError) as e:
            raise KafkaUnavailableError(
                f"{', '.join(topics)} could not be read to the end: {type(e).__name__}."
            ) from e
        return found

    async def tail(self, *, since: datetime) -> AsyncGenerator[AppendedOutcome | None, None]:
        """See `ResultsReader.tail`; ends when a topic has more partitions than before."""
        topics = self._topics.results
        try:
            async with started_consumer(self._make_consumer, within=self._patience) as consumer:
                await self._assign(consumer, topics, since=since)
                partitions = consumer.assignment()
                while _number_of_partitions(consumer, topics) <= len(partitions):
                    batches = await consumer.getmany(timeout_ms=_POLL_MS)
                    for records in batches.values():
                        for record in map(incoming, records):
                            if (outcome := outcome_of(record)) is not None:
                                yield appended(record, *outcome)
                    if await _is_at_the_end(consumer):
                        yield None
        except (KafkaError, OSError) as e:
            raise KafkaUnavailableError(
                f"{', '.join(topics)} could not be tailed: {type(e).__name__}."
            ) from e

    def _topics_of(self, keys: Iterable[bytes]) -> Sequence[str]:
        """Return where the outcomes of these runs may stand."""
        tenants = {key.partition(b"/")[0].decode(errors="replace") for key in keys}
        return [each.topics.results for each in self._topics.having_had(tenants)]

    async def _records(
        self, consumer: AIOKafkaConsumer, topics: Sequence[str], *, since: datetime
    ) -> AsyncIterator[IncomingRecord]:
        ends = await self._assign(consumer, topics, since=since)
        consumer.pause(*(tp for tp in consumer.assignment() if tp not in ends))
        while ends:
            # The deadline is for the next records, not for all: the topic may be long.
            async with Deadline("read on", self._patience).enforce():
                batches: dict[TopicPartition, list[Any]] = {}
                while not batches:
                    await _drop_finished(consumer, ends)
                    if not ends:
                        return
                    batches = await consumer.getmany(*ends, timeout_ms=_POLL_MS)
            for records in batches.values():
                for record in records:
                    yield incoming(record)

    async def _assign(
        self, consumer: AIOKafkaConsumer, topics: Sequence[str], *, since: datetime
    ) -> dict[TopicPartition, int]:
        """Seek to the first record since then, or to the end of the partition.

        Return the end offset of each partition that has records since then.
        """
        async with Deadline("find the offsets to read from", self._patience).enforce():
            partitions = list(await partitions_of(consumer, topics))
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            since_ms = int(since.timestamp() * 1000)
            starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            for tp, start in starts.items():
                consumer.seek(tp, ends[tp] if start is None else start.offset)
        return {tp: end for tp, end in ends.items() if starts[tp] is not None}


def _number_of_partitions(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> int:
    return sum(len(consumer.partitions_for_topic(topic) or ()) for topic in topics)


async def _is_at_the_end(consumer: AIOKafkaConsumer) -> bool:
    for tp in consumer.assignment():
        end = consumer.highwater(tp)
        if end is None or await consumer.position(tp) < end:
            return False
    return True


def appended(record: IncomingRecord, uid: str, read: OutcomeRecord) -> AppendedOutcome:
    """Return a record of the results topic without its content; `uid, read` is `outcome_of` it."""
    return AppendedOutcome(
        uid=uid,
        record_key=record.key or b"",
        attempt=read.outcome.attempt,
        appended_at=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
        observed_at=read.observed_at,
    )


async def _drop_finished(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
    for tp in list(ends):
        if await consumer.position(tp) >= ends[tp]:
            consumer.pause(tp)
            del ends[tp]


def _is_older(read: OutcomeRecord, known: OutcomeRecord | None) -> bool:
    return known is not None and read.outcome.attempt <= known.outcome.attempt


def outcome_of(record: IncomingRecord) -> tuple[str, OutcomeRecord] | None:
    """Return the uid and the outcome of a record of the results topic; None if it has no uid."""
    try:
        published = decode_status(record)
    except ForeignRecordError:
        return None
    event = published.event if isinstance(published, PublishedEvent) else None
    if event is None or event.uid is None or not event.terminal:
        return None
    return event.uid, OutcomeRecord(
        outcome=Outcome(attempt=event.attempt, phase=event.phase, finished_at=event.finished_at),
        observed_at=event.observed_at,
        record=OutgoingRecord(key=record.key, value=record.value, headers=record.headers),
    )
