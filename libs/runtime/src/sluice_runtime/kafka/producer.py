"""A producer that survives its own fatal errors.

aiokafka's idempotent producer is unusable after some errors: its batches never expire (aiokafka
#1101), and a lost sequence number fails every later send (#1017). So each send has a deadline. A
producer that misses it, or fails fatally, is replaced by a new one.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from sluice_contracts.records import Appended, OutgoingRecord, Position
from sluice_runtime.deadlines import Deadline, DeadlineExceededError
from sluice_runtime.kafka.batches import batches_of, sent_value
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.partitioning import choose_partition
from sluice_runtime.kafka.settings import KafkaSettings, connection

__all__ = ["BatchProducer", "Producer", "RecordProducer"]

_log = structlog.get_logger(__name__)

_MAX_RECORD_BYTES = 4 * 1024 * 1024
_ROOM_FOR_FRAMING = 64 * 1024
_LATE = "no acknowledgement in time"


class Producer(Protocol):
    """A writer of records: `RecordProducer`, or the fake of the tests."""

    async def send(
        self,
        topic: str,
        record: OutgoingRecord,
        *,
        deadline: Deadline,
        partition: int | None = None,
    ) -> Appended:
        """Write one record, and return where it stands once all in-sync replicas have it.

        Without `partition`, the record's key decides about that.

        Raises:
            KafkaUnavailableError: the record was not acknowledged within the deadline.
            RecordRefusedError: the record is too large for the topic.
        """


class BatchProducer(Producer, Protocol):
    """A writer of records that also takes many at a time."""

    async def send_all(
        self, topic: str, records: Sequence[OutgoingRecord], *, deadline: Deadline
    ) -> int:
        """Write records, and return how many of them all in-sync replicas have.

        The others were refused, or not acknowledged within the deadline. Records of one key keep
        their order. It takes a fraction of the time of as many sends.
        """


class RecordProducer:
    """Writes records with acks=all, and replaces its aiokafka producer after fatal errors."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        client_id: str,
        make: Callable[..., AIOKafkaProducer] = AIOKafkaProducer,
    ) -> None:
        self._arguments = connection(settings, client_id=client_id) | {
            "acks": "all",
            "enable_idempotence": True,
            "max_request_size": _MAX_RECORD_BYTES + _ROOM_FOR_FRAMING,
            "partitioner": choose_partition,
        }
        self._make = make
        self._current: Any = None
        self._replacing = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()
        self._failure: str | None = None
        self._closed = False

    async def send(
        self,
        topic: str,
        record: OutgoingRecord,
        *,
        deadline: Deadline,
        partition: int | None = None,
    ) -> Appended:
        """See `Producer.send`."""
        if record.size > _MAX_RECORD_BYTES:
            # A refusal by aiokafka would cost the other sends their producer.
            raise RecordRefusedError(f"{topic}: the record has {record.size} bytes.")
        producer: Any = None
        try:
            async with deadline.enforce():
                producer = await self._producer()
                written = await self._write(producer, topic, record, partition)
        except (MessageSizeTooLargeError, RecordListTooLargeError) as e:
            self._retire(producer)
            raise RecordRefusedError(f"{topic}: the record has {record.size} bytes.") from e
        except InvalidTopicError as e:
            raise RecordRefusedError(f"{topic}: not a valid topic.") from e
        except DeadlineExceededError as e:
            self._fail(producer, _LATE)
            raise KafkaUnavailableError(f"{topic}: not acknowledged in time.") from e
        except (KafkaError, OSError) as e:
            self._fail(producer, type(e).__name__)
            raise KafkaUnavailableError(f"{topic}: {type(e).__name__}.") from e
        self._failure = None
        return Appended(
            position=Position(written.topic, written.partition, written.offset),
            timestamp_ms=written.timestamp,
        )

    async def send_all(
        self, topic: str, records: Sequence[OutgoingRecord], *, deadline: Deadline
    ) -> int:
        """See `BatchProducer.send_all`."""
        taken = [each for each in records if each.size <= _MAX_RECORD_BYTES]
        sent: list[tuple[int, asyncio.Future[Any]]] = []
        producer: Any = None
        try:
            async with deadline.enforce():
                producer = await self._producer()
                partitions = sorted(await producer.partitions_for(topic))
                for partition, batch in batches_of(taken, producer, partitions=partitions):
                    future = await producer.send_batch(batch, topic, partition=partition)
                    sent.append((batch.record_count(), future))
                await asyncio.gather(*(future for _, future in sent))
            self._failure = None
        except DeadlineExceededError:
            self._fail(producer, _LATE)
        except (KafkaError, OSError) as e:
            self._fail(producer, type(e).__name__)
        finally:
            for _, future in sent:
                # One that fails now, and that nobody waits for, would be logged as an error.
                future.cancel()
        return sum(count for count, future in sent if _has_succeeded(future))

    def unavailable(self) -> str | None:
        """Return why the last send failed; None if it succeeded."""
        return self._failure

    async def start(self, *, deadline: Deadline) -> None:
        """Connect before the first send.

        Raises:
            KafkaUnavailableError: no broker answered.
        """
        try:
            async with deadline.enforce():
                await self._producer()
        except (KafkaError, OSError) as e:
            raise KafkaUnavailableError("No broker answered.") from e

    async def close(self) -> None:
        """Close the connection; sends in flight fail."""
        self._closed = True
        self._retire(self._current)
        await asyncio.gather(*self._stopping)

    async def _producer(self) -> Any:  # noqa: ANN401 - aiokafka is untyped
        if self._current is not None:
            # Only its replacement needs the lock.
            return self._current
        async with self._replacing:
            if self._closed:
                raise KafkaError("the producer is closed")
            if self._current is None:
                producer = self._make(**self._arguments)
                try:
                    await producer.start()
                except BaseException:
                    self._stop(producer)
                    raise
                self._current = producer
                if self._closed:
                    self._retire(producer)
                    raise KafkaError("the producer was closed while it connected")
            return self._current

    async def _write(
        self, producer: AIOKafkaProducer, topic: str, record: OutgoingRecord, partition: int | None
    ) -> Any:  # noqa: ANN401 - aiokafka is untyped
        return await producer.send_and_wait(
            topic,
            value=sent_value(record),
            key=record.key,
            partition=partition,
            headers=list(record.headers),
        )

    def _fail(self, producer: AIOKafkaProducer | None, why: str) -> None:
        self._failure = f"Kafka: {why}"
        if producer is not None and producer is self._current:
            _log.warning("producer replaced", error=why)
        self._retire(producer)

    def _retire(self, producer: AIOKafkaProducer | None) -> None:
        """Discard a producer: its pending sends fail, and the next send makes a new one."""
        if producer is None or producer is not self._current:
            return
        self._current = None
        # stop() waits for batches, and batches of an idempotent producer never expire.
        accumulator: Any = producer._message_accumulator  # noqa: SLF001
        for batch in (
            *itertools.chain.from_iterable(accumulator._batches.values()),  # noqa: SLF001
            *accumulator._pending_batches,  # noqa: SLF001
        ):
            # Of records that were sent together nobody may wait any more.
            batch.future.add_done_callback(_retrieve)
        accumulator.fail_all(KafkaError("the producer was replaced"))
        for batch in itertools.chain.from_iterable(accumulator._batches.values()):  # noqa: SLF001
            # An exception that was never retrieved would be logged as an error.
            batch._drain_waiter.exception()  # noqa: SLF001
        self._stop(producer)

    def _stop(self, producer: AIOKafkaProducer) -> None:
        """Stop it in the background: a silent broker must not delay a send with a deadline."""
        task = asyncio.create_task(_stop_quietly(producer), name="stop a Kafka producer")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


def _has_succeeded(future: asyncio.Future[Any]) -> bool:
    return not future.cancelled() and future.exception() is None


def _retrieve(future: asyncio.Future[Any]) -> None:
    # An exception that was never retrieved would be logged as an error.
    if not future.cancelled():
        future.exception()


async def _stop_quietly(producer: AIOKafkaProducer) -> None:
    try:
        await producer.stop()
    except (KafkaError, OSError, KeyError) as e:
        # KeyError: aiokafka retries a batch that failed when its producer was retired.
        _log.warning("producer did not stop cleanly", error=type(e).__name__)
        # stop() has not reached its connections, and cannot be called a second time.
        await producer.client.close()
