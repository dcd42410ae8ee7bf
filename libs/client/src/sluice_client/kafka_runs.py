"""A run, to follow and to command over Kafka."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from sluice_client.documents import command_request, problem_of
from sluice_client.errors import (
    IdConflictError,
    UnreachableError,
    WaitTimeoutError,
)
from sluice_client.kafka_connection import KafkaConnection, unreachable
from sluice_client.kafka_records import incoming_of, reading
from sluice_client.outcomes import Event, Outcome
from sluice_client.protocols import RunHandle
from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.ids import RunKey
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import CommandType
from sluice_contracts.status_codec import (
    ForeignRecordError,
    PublishedEvent,
    decode_status,
    event_type,
)

__all__ = ["KafkaRun", "WrittenRequest"]

_POLL_MS: Final = 500


@dataclass(frozen=True, kw_only=True)
class WrittenRequest:
    """A request for a run: where it stands, and what identifies its content."""

    position: str
    fingerprint: str


class KafkaRun(RunHandle):
    """A run; making one reads nothing.

    Args:
        connection: to Kafka.
        key: names the run.
        request: the request of this client that has asked for it, if it has.
        since_ms: no event of the run is older, in milliseconds of the Unix epoch; None if that is
            not known, so that its partition is read from the beginning.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        key: RunKey,
        *,
        request: WrittenRequest | None = None,
        since_ms: int | None = None,
    ) -> None:
        super().__init__(key)
        self._connection = connection
        self._request = request
        self._since_ms = since_ms

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the error says what it got
        *,
        attempt: int = 1,
    ) -> Outcome:
        """Return how the run has ended, once it has; at most after `timeout` seconds.

        `attempt` is the first attempt that counts: after a `retry`, that of the outcome plus 1.

        Raises:
            WaitTimeoutError: it has not ended in time. It goes on.
            IdConflictError: the id belongs to a run with other content.
        """
        try:
            last: Event | None = None
            following = self._follow(None, attempt=attempt)
            async with asyncio.timeout(timeout), aclosing(following) as events:
                async for event in events:
                    last = event
        except TimeoutError:
            raise WaitTimeoutError(
                f"Run {self.id!r} is not over after {timeout} s. It goes on; wait again."
            ) from None
        if last is None:
            raise UnreachableError("The events of the run ended without one.")
        return Outcome(last.state)

    def events(self, *, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield what happens to the run, from its first event on, until it is over.

        `after` is the place of an event, from here or from HTTP: the next one is the one behind it.

        Raises:
            EventsGoneError: the events behind the place are no longer kept.
            IdConflictError: the id belongs to a run with other content.
            UnreachableError: Kafka cannot be read.
        """
        return self._follow(after, attempt=1)

    async def _follow(self, after: str | None, *, attempt: int) -> AsyncGenerator[Event]:
        """Yield events until the run is over in this attempt or a later one."""
        seen = -1 if after is None else place_of(after)[1]
        last_sequence = -1
        end: int | None = None
        async with self._connection.reader() as consumer:
            with unreachable():
                partition = await self._partition(after)
                await self._begin(consumer, partition, after)
            while end is None or await consumer.position(partition) < end:
                for record in await _read(consumer, partition):
                    found = self._event(record)
                    if found is None or found.state.sequence <= last_sequence:
                        continue
                    last_sequence = found.state.sequence
                    if record.offset > seen:
                        yield found
                    end = None
                    if found.state.terminal and found.state.attempt >= attempt:
                        # A later attempt may have begun already.
                        with unreachable():
                            end = (await consumer.end_offsets([partition]))[partition]

    async def _command(self, command: CommandType, members: dict[str, Any]) -> str:
        request = command_request(command, self._key, members)
        unclear = f"Read run {self.id!r}, and repeat {command} if it had no effect."
        return str((await self._connection.write(request, self._key, unclear=unclear)).position)

    async def _partition(self, after: str | None) -> TopicPartition:
        """Return the partition of the run's events: that of its key, unless a place names one."""
        topic = self._connection.topics.status
        if after is not None:
            return TopicPartition(topic, place_of(after)[0])
        numbers = sorted(await self._connection.partitions_of(topic))
        return TopicPartition(
            topic, DefaultPartitioner()(str(self._key).encode(), numbers, numbers)
        )

    async def _begin(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, after: str | None
    ) -> None:
        """Go to where the events that are wanted begin, or to the one before them."""
        consumer.assign([partition])
        if after is not None:
            # It may be the last one of the run.
            consumer.seek(partition, place_of(after)[1])
            return
        if self._since_ms is None:
            await consumer.seek_to_beginning(partition)
            return
        # Before the look for younger events: one that comes between the two must not be missed.
        end = (await consumer.end_offsets([partition]))[partition]
        found = (await consumer.offsets_for_times({partition: self._since_ms}))[partition]
        consumer.seek(partition, end if found is None else found.offset)

    def _event(self, record: ConsumerRecord) -> Event | None:
        """Return the event of this run that the record is, None if it is none.

        Raises:
            IdConflictError: the id belongs to a run with other content than was asked for.
        """
        if record.key != str(self._key).encode():
            return None
        try:
            read = decode_status(incoming_of(record))
        except ForeignRecordError:
            return None
        request = self._request
        if isinstance(read, PublishedEvent):
            if request and read.fingerprint not in (None, request.fingerprint):
                detail = f"The id {self.id!r} belongs to a run with other content."
                raise IdConflictError(problem_of(ProblemType.ID_CONFLICT, detail))
            place = f"{record.partition}:{record.offset}"
            return Event(place=place, type=event_type(read.event.phase), state=read.event)
        if isinstance(read, RefusalNotice) and request and read.request == request.position:
            raise IdConflictError(HttpProblem.model_validate(read.problem.model_dump()))
        return None


def place_of(text: str) -> tuple[int, int]:
    """Return the partition and the offset of a place; a door's name before them does not count.

    Raises:
        ValueError: it is none of a run's event.
    """
    found = re.fullmatch(r"(?:[a-z0-9-]{1,63}/)?([0-9]{1,10}):([0-9]{1,18})", text)
    if found is None:
        raise ValueError("The place must be that of an event of a run, as in 3:4711.")
    return int(found[1]), int(found[2])


async def _read(consumer: AIOKafkaConsumer, partition: TopicPartition) -> list[ConsumerRecord]:
    with reading():
        read = await consumer.getmany(partition, timeout_ms=_POLL_MS)
    records: list[ConsumerRecord] = read.get(partition, [])
    return records
