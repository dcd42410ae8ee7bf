"""The dead letter topics: reads one record of them, and writes decisions."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sluice_contracts.dead_letters import LetterDecision, encode_decision
from sluice_contracts.records import Appended, IncomingRecord, Position
from sluice_gateway.ports import (
    LetterGoneError,
    LettersUnavailableError,
    RecordTooLargeError,
    RequestNotAcknowledgedError,
)
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import incoming, started_consumer
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.producer import Producer

__all__ = ["KafkaLetterTopics"]

# Each reader holds up to 4 MiB.
_MOST_READERS: Final = 4
_POLL_MS: Final = 250


class KafkaLetterTopics:
    """The real `LetterTopics`; `timeout` is for each read, with the wait for its place, and write.

    Letters are read seldom, so each read has a consumer of its own. `producer_of` gives the
    producer for a topic.
    """

    def __init__(
        self,
        *,
        producer_of: Callable[[str], Producer],
        make_consumer: Callable[[], AIOKafkaConsumer],
        timeout: timedelta,
    ) -> None:
        self._producer_of = producer_of
        self._make_consumer = make_consumer
        self._timeout = timeout
        self._readers = asyncio.Semaphore(_MOST_READERS)

    async def read(self, position: Position) -> IncomingRecord:
        """See `LetterTopics.read`."""
        deadline = Deadline("reading the dead letter", self._timeout)
        try:
            async with (
                deadline.enforce(),
                self._readers,
                started_consumer(self._make_consumer) as consumer,
            ):
                return await _record_at(consumer, position)
        except (KafkaError, OSError) as e:
            raise LettersUnavailableError(
                f"Kafka did not answer in time: {type(e).__name__}"
            ) from e

    async def append_decision(self, letter: Position, decision: LetterDecision) -> Appended:
        """See `LetterTopics.append_decision`."""
        record = encode_decision(decision, source="/sluice/gateway")
        deadline = Deadline("writing the decision", self._timeout)
        try:
            return await self._producer_of(letter.topic).send(
                letter.topic, record, deadline=deadline, partition=letter.partition
            )
        except KafkaUnavailableError as e:
            raise RequestNotAcknowledgedError(str(e)) from e
        except RecordRefusedError as e:
            raise RecordTooLargeError(str(e)) from e


async def _record_at(consumer: AIOKafkaConsumer, position: Position) -> IncomingRecord:
    """Return the record there.

    Raises:
        LetterGoneError: there is none.
        KafkaError: no broker answered.
    """
    partition = TopicPartition(position.topic, position.partition)
    consumer.assign([partition])
    begin = (await consumer.beginning_offsets([partition]))[partition]
    end = (await consumer.end_offsets([partition]))[partition]
    if not begin <= position.offset < end:
        raise LetterGoneError(f"{position} is not kept")
    consumer.seek(partition, position.offset)
    while True:
        batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=1)
        for record in batches.get(partition, ()):
            found = incoming(record)
            if found.position != position:
                raise LetterGoneError(f"{position} is not kept")
            return found
