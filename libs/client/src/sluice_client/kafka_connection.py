"""Writes requests to Kafka, and reads the status topic, by aiokafka.

aiokafka's idempotent producer is unusable after some errors: its batches never expire (aiokafka
#1101), and a lost sequence number fails every later send (#1017). So each write has a time limit. A
producer that misses it, or fails, is replaced by a new one.
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
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
    as_sentence,
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
_ROOM_FOR_FRAMING: Final = 64 * 1024
# Beyond the time limit of a call: aiokafka waits for requests in flight, also in vain.
_STOPPING_S: Final = 2.0


class KafkaConnection:
    """A producer, and consumers as needed.

    Args:
        topics: the topics of the tenant.
        settings: aiokafka's, among them `bootstrap_servers`.
        timeout: for how many seconds brokers may be silent.
        make: makes a producer; the tests have one of their own.
    """

    def __init__(
        self,
        *,
        topics: TopicNames,
        settings: dict[str, Any],
        timeout: float,
        make: Callable[..., AIOKafkaProducer] = AIOKafkaProducer,
    ) -> None:
        self.topics = topics
        self._settings = settings
        self._timeout = timeout
        self._make = make
        self._opened = False
        self._current: Any = None
        self._replacing = asyncio.Lock()

    async def open(self) -> None:
        """Connect.

        Raises:
            UnreachableError: no broker answered in time.
        """
        self._opened = True
        async with self._in_time():
            await self._producer()

    async def close(self) -> None:
        """Close the producer; what it is sending is sent, if brokers take it in time."""
        self._opened = False
        producer, self._current = self._current, None
        if producer is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await producer.flush()
        await _discard(producer)

    async def write(self, request: RunRequest | Command, key: RunKey, *, unclear: str) -> Appended:
        """Return where the request stands, once every in-sync replica has it.

        Raises:
            InvalidRequestError: it is too large.
            UnreachableError: Kafka does not take it, or did not answer; nothing was written.
            OutcomeUnknownError: it may have been written; `unclear` says what to do then.
        """
        record = encode_request(
            request,
            key=key,
            source=_SOURCE,
            event_id=secrets.token_hex(16),
            time=datetime.now(UTC),
            traceparent=continue_trace(None),
        )
        if record.size > _LARGEST_RECORD:
            # A refusal by aiokafka would cost the other writes their producer.
            raise _too_large()
        producer: Any = None
        try:
            async with asyncio.timeout(self._timeout):
                with unreachable():
                    producer = await self._producer()
                written = await producer.send_and_wait(
                    self.topics.requests,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                )
        except TimeoutError as e:
            if producer is None:
                raise self._silence() from e
            await self._replace(producer)
            raise OutcomeUnknownError(
                f"Kafka did not acknowledge the record within {self._timeout:g} s. {unclear}"
            ) from e
        except KafkaError as e:
            await self._replace(producer)
            match e:
                case MessageSizeTooLargeError():
                    raise _too_large() from None
                case TopicAuthorizationFailedError():
                    raise UnreachableError(
                        f"The account may not write to {self.topics.requests}: ask its operator."
                    ) from e
            raise OutcomeUnknownError(f"Kafka did not acknowledge the record. {unclear}") from e
        position = Position(written.topic, written.partition, written.offset)
        return Appended(position=position, timestamp_ms=written.timestamp)

    async def partitions_of(self, topic: str) -> set[int]:
        """Return the partitions of a topic.

        Raises:
            KafkaError: there is no such topic.
            UnreachableError: no broker answered in time.
        """
        async with self._in_time():
            numbers: set[int] = await (await self._producer()).partitions_for(topic)
        return numbers

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """Yield a consumer that commits nothing.

        Raises:
            UnreachableError: no broker answered in time.
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
            async with self._in_time():
                await consumer.start()
            yield consumer
        finally:
            try:
                async with asyncio.timeout(_STOPPING_S):
                    await _stop(consumer)
            except TimeoutError:
                await _close(consumer._client)  # noqa: SLF001

    async def _producer(self) -> Any:  # noqa: ANN401 - aiokafka is untyped
        async with self._replacing:
            if not self._opened:
                raise SluiceError("Not connected: use it as `async with KafkaSluice(…) as sluice`.")
            if self._current is None:
                producer = self._make(
                    **self._settings,
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=_LARGEST_RECORD + _ROOM_FOR_FRAMING,
                )
                try:
                    await producer.start()
                except BaseException:
                    await _discard(producer)
                    raise
                if not self._opened:
                    await _discard(producer)
                    raise SluiceError("The client was closed meanwhile.")
                self._current = producer
            return self._current

    async def _replace(self, producer: Any) -> None:  # noqa: ANN401 - aiokafka is untyped
        """Let the next write make another producer, and give up what this one has."""
        if producer is self._current:
            self._current = None
            await _discard(producer)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                with unreachable():
                    yield
        except TimeoutError as e:
            raise self._silence() from e

    def _silence(self) -> UnreachableError:
        return UnreachableError(
            f"No broker answered within {self._timeout:g} s; nothing was written."
        )


async def _discard(producer: Any) -> None:  # noqa: ANN401 - aiokafka is untyped
    """Stop a producer at once: what waits for brokers fails."""
    # stop() waits for batches, and batches of an idempotent producer never expire.
    accumulator: Any = producer._message_accumulator  # noqa: SLF001
    accumulator.fail_all(KafkaError("the producer was closed"))
    for batch in itertools.chain.from_iterable(accumulator._batches.values()):  # noqa: SLF001
        # An exception that was never retrieved would be logged as an error.
        batch._drain_waiter.exception()  # noqa: SLF001
    try:
        async with asyncio.timeout(_STOPPING_S):
            await producer.stop()
    except (KafkaError, OSError, KeyError, TimeoutError):
        # KeyError: aiokafka repeats a batch that has failed. It has not come to its connections.
        await _close(producer.client)


async def _close(client: Any) -> None:  # noqa: ANN401 - aiokafka is untyped
    """Close connections; a peer that does not answer is not waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOPPING_S):
            await client.close()


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


def _too_large() -> InvalidRequestError:
    return InvalidRequestError(
        problem_of(ProblemType.TOO_LARGE, "The topic takes no record of this size.")
    )


@contextmanager
def unreachable() -> Iterator[None]:
    """Raise what Kafka says while connecting or reading as ours.

    Raises:
        UnreachableError: Kafka did not answer, or not to this account.
    """
    try:
        yield
    except KafkaConnectionError as e:
        raise UnreachableError(as_sentence(f"No broker answered: {e}")) from e
    except TopicAuthorizationFailedError as e:
        raise UnreachableError("The account may not read the topic: ask its operator.") from e
    except KafkaError as e:
        raise UnreachableError(f"Kafka has failed: {type(e).__name__}.") from e
