"""Writes requests to Kafka, and reads the status topic, by aiokafka."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from sluice_client.documents import problem_of
from sluice_client.errors import (
    InvalidRequestError,
    OutcomeUnknownError,
    SluiceError,
    UnreachableError,
)
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import Appended, Position
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.topics import TopicNames
from sluice_contracts.tracing import continue_trace

__all__ = ["KafkaConnection", "unreachable"]

_SOURCE: Final = "urn:sluice:client"
# Above every limit of Sluice's topics; the defaults of aiokafka are below some.
_LARGEST_RECORD: Final = 4 * 1024 * 1024


class KafkaConnection:
    """A producer, and consumers as needed.

    Args:
        topics: the topics of the tenant.
        settings: aiokafka's, among them `bootstrap_servers`.
    """

    def __init__(self, *, topics: TopicNames, settings: dict[str, Any]) -> None:
        self.topics = topics
        self._settings = settings
        self._opened: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            UnreachableError: no broker answered.
        """
        producer = AIOKafkaProducer(
            **self._settings,
            acks="all",
            enable_idempotence=True,
            max_request_size=_LARGEST_RECORD,
        )
        try:
            with unreachable():
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._opened = producer

    async def close(self) -> None:
        """Close the producer; what it is sending is sent."""
        if self._opened is not None:
            await self._opened.stop()

    async def write(self, request: RunRequest | Command, key: RunKey, *, unclear: str) -> Appended:
        """Return where the request stands, once every in-sync replica has it.

        Raises:
            InvalidRequestError: it is too large.
            UnreachableError: Kafka does not take it; nothing was written.
            OutcomeUnknownError: it may have been written; `unclear` says what to do then.
        """
        producer = self._producer()
        record = encode_request(
            request,
            key=key,
            source=_SOURCE,
            event_id=secrets.token_hex(16),
            time=datetime.now(UTC),
            traceparent=continue_trace(None),
        )
        try:
            written = await producer.send_and_wait(
                self.topics.requests,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
            )
        except MessageSizeTooLargeError:
            raise InvalidRequestError(
                problem_of(ProblemType.TOO_LARGE, "The topic takes no record of this size.")
            ) from None
        except TopicAuthorizationFailedError as e:
            raise UnreachableError(
                f"The account may not write to {self.topics.requests}: ask its operator."
            ) from e
        except KafkaError as e:
            raise OutcomeUnknownError(f"Kafka did not acknowledge the record. {unclear}") from e
        position = Position(written.topic, written.partition, written.offset)
        return Appended(position=position, timestamp_ms=written.timestamp)

    async def partitions_of(self, topic: str) -> set[int]:
        """Return the partitions of a topic.

        Raises:
            KafkaError: there is no such topic, or no broker answered.
        """
        numbers: set[int] = await self._producer().partitions_for(topic)
        return numbers

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """Yield a consumer that commits nothing.

        Raises:
            UnreachableError: no broker answered.
        """
        consumer = AIOKafkaConsumer(
            **self._settings,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=_LARGEST_RECORD,
        )
        try:
            with unreachable():
                await consumer.start()
            yield consumer
        finally:
            await _stop(consumer)

    def _producer(self) -> AIOKafkaProducer:
        if self._opened is None:
            raise SluiceError("Not connected: use it as `async with KafkaSluice(…) as sluice`.")
        return self._opened


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        # aiokafka waits for a task that it has cancelled, and gets that cancellation itself.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # It has not come to its connections, and will not stop a second time.
        await consumer._client.close()  # noqa: SLF001


@contextmanager
def unreachable() -> Iterator[None]:
    """Raise what Kafka says while connecting or reading as ours.

    Raises:
        UnreachableError: Kafka did not answer, or not to this account.
    """
    try:
        yield
    except KafkaConnectionError as e:
        raise UnreachableError(f"No broker answered: {e}") from e
    except TopicAuthorizationFailedError as e:
        raise UnreachableError("The account may not read the topic: ask its operator.") from e
    except KafkaError as e:
        raise UnreachableError(f"Kafka has failed: {type(e).__name__}.") from e
