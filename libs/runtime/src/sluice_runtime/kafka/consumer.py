"""Consumers, and what they read, as plain values."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher

from sluice_contracts.records import IncomingRecord, Position
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.lenient_records import LenientRecords
from sluice_runtime.kafka.settings import KafkaSettings, connection

__all__ = ["incoming", "make_consumer", "partitions_of", "started_consumer", "stop_consumer"]

# Above every topic's max.message.bytes, so that no record is too large to be read.
_MAX_PARTITION_FETCH_BYTES = 4 * 1024 * 1024


def make_consumer(
    settings: KafkaSettings,
    *,
    client_id: str,
    group: str | None = None,
    fetch_max_wait: timedelta = timedelta(seconds=1),
) -> AIOKafkaConsumer:
    """Make a consumer that starts at the beginning and commits nothing by itself.

    For up to `fetch_max_wait` a broker that has no records answers nothing else on the connection.
    """
    # aiokafka offers no other place to say how records are read.
    fetcher.MemoryRecords = LenientRecords
    session_ms = int(settings.session_timeout.total_seconds() * 1000)
    return AIOKafkaConsumer(
        **connection(settings, client_id=client_id),
        group_id=group,
        group_instance_id=settings.instance_id if group else None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # A request of a transaction that was aborted was never made.
        isolation_level="read_committed",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=max(1000, session_ms // 10),
        # The dispatcher polls all the time: only a long drain has to fit into this.
        rebalance_timeout_ms=max(60_000, session_ms),
        max_poll_interval_ms=300_000,
        max_partition_fetch_bytes=_MAX_PARTITION_FETCH_BYTES,
        fetch_max_wait_ms=int(fetch_max_wait.total_seconds() * 1000),
        # Partitions added later are found within this time.
        metadata_max_age_ms=30_000,
    )


@asynccontextmanager
async def started_consumer(
    make: Callable[[], AIOKafkaConsumer], *, within: timedelta | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a new consumer that is connected, and stop it afterwards.

    Args:
        make: makes the consumer. It may subscribe it to topics, but does not start it.
        within: how long connecting may take; None leaves that to aiokafka.

    Raises:
        KafkaError: no broker answered, or a topic of the subscription is missing.
        DeadlineExceededError: connecting took longer than `within`.
    """
    consumer = make()
    try:
        if within is None:
            await consumer.start()
        else:
            async with Deadline("connect to Kafka", within).enforce():
                await consumer.start()
        yield consumer
    finally:
        await stop_consumer(consumer)


async def partitions_of(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> set[TopicPartition]:
    """Return all partitions that these topics have now.

    Raises:
        KafkaError: a topic does not exist, or no broker answered.
    """
    found: set[TopicPartition] = set()
    for topic in topics:
        # The public partitions_for_topic() answers from a cache, empty before an assignment.
        numbers = await consumer._client._wait_on_metadata(topic)  # noqa: SLF001
        found |= {TopicPartition(topic, number) for number in numbers}
    return found


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, whatever it is in the middle of.

    While a broker is away, aiokafka waits for a task that it has cancelled, and gets that
    cancellation itself: the task that stops the consumer would seem to be cancelled.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # It has not come to its connections, and will not stop a second time.
        await consumer._client.close()  # noqa: SLF001


def incoming(record: Any) -> IncomingRecord:  # noqa: ANN401 - aiokafka is untyped
    """Return aiokafka's record as a plain value."""
    return IncomingRecord(
        position=Position(record.topic, record.partition, record.offset),
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple((name, bytes(value or b"")) for name, value in record.headers),
    )
