"""One real Kafka for the whole test session, and helpers to use it.

It is a process, or a container with `--kafka=testcontainers`. Tests use topics with unique names;
nothing is cleaned up between tests.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from sluice_contracts.topics import TopicNames
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.kafka.consumer import partitions_of
from tests.support.kafka_container import running_kafka_container
from tests.support.leaving_out import leave_out

Headers = Sequence[tuple[str, bytes]]

WAIT_SECONDS = 30.0
"""Time limit for expected records; long enough for a busy machine."""

_MAX_BYTES = 4 * 1024 * 1024
_counter = itertools.count(1)


class KafkaServer(Protocol):
    """A running Kafka."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, `host:port`."""
        ...


Broker = TypeVar("Broker", bound=EmbeddedKafka)


@contextlib.contextmanager
def running_broker(broker: Broker) -> Iterator[Broker]:
    """Run a Kafka as a process while the body runs."""
    broker.start_sync()
    try:
        yield broker
    finally:
        broker.stop_sync()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that selects where Kafka runs."""
    parser.addoption(
        "--kafka",
        choices=["embedded", "testcontainers"],
        default="embedded",
        help="run the session's Kafka as a process (default) or in a container",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With a container, deselect the tests that do not use it."""
    if config.getoption("--kafka") == "testcontainers":
        leave_out(config, items, lambda item: "kafka" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaServer]:
    """Yield a real Apache Kafka on free ports, shared by the session."""
    if request.config.getoption("--kafka") == "testcontainers":
        with running_kafka_container() as container:
            yield container
        return
    with running_broker(EmbeddedKafka(data_dir=tmp_path_factory.mktemp("kafka"))) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Yield a Kafka for one test, which may stop, kill and start it. It is not started."""
    broker = EmbeddedKafka(data_dir=tmp_path_factory.mktemp("own-kafka"))
    try:
        yield broker
    finally:
        broker.stop_sync()


def unique_name(prefix: str) -> str:
    """Return a name that no other test of this session uses, for topics, groups and ids."""
    return f"{prefix}-{secrets.token_hex(4)}-{next(_counter)}"


def topic_names(prefix: str = "test") -> TopicNames:
    """Return Sluice's four topics under names that no other test uses."""
    unique = unique_name(prefix)
    return TopicNames(
        requests=f"{unique}.requests",
        status=f"{unique}.status",
        results=f"{unique}.results",
        dlq=f"{unique}.requests.dlq",
    )


async def create_topic(
    kafka: KafkaServer,
    topic: str,
    *,
    partitions: int = 1,
    config: dict[str, str] | None = None,
) -> None:
    """Create a topic; it must not exist yet."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        response = await admin.create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=config or {})]
        )
    finally:
        await admin.close()
    for name, code, message in response.topic_errors:
        assert code == 0, f"{name}: {message}"


async def delete_topic(kafka: KafkaServer, topic: str) -> None:
    """Delete a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        response = await admin.delete_topics([topic])
    finally:
        await admin.close()
    for name, code in response.topic_error_codes:
        assert code == 0, name


async def alter_topic(kafka: KafkaServer, topic: str, config: dict[str, str]) -> None:
    """Set topic-level settings; others are reset to the broker's defaults."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        [response] = await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)]
        )
    finally:
        await admin.close()
    for code, message, _, name in response.resources:
        assert code == 0, f"{name}: {message}"


async def produce(
    kafka: KafkaServer,
    topic: str,
    *values: bytes | None,
    key: bytes | None = None,
    headers: Headers = (),
    partition: int | None = None,
) -> list[TopicPartition]:
    """Write records in order, acknowledged; return the partition of each."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", max_request_size=_MAX_BYTES
    )
    await producer.start()
    try:
        written = [
            await producer.send_and_wait(
                topic, value, key=key, headers=list(headers), partition=partition
            )
            for value in values
        ]
    finally:
        await producer.stop()
    return [TopicPartition(each.topic, each.partition) for each in written]


async def read_all(kafka: KafkaServer, *topics: str) -> list[ConsumerRecord]:
    """Return the current records of the topics, in order of partition and offset."""
    consumer = _consumer(kafka)
    await consumer.start()
    try:
        partitions = await _assign(consumer, topics)
        ends = await consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        for partition in partitions:
            consumer.pause(*partitions)
            consumer.resume(partition)
            # Positions, not records, show the end: compaction and transactions leave gaps.
            while await consumer.position(partition) < ends[partition]:
                for batch in (await consumer.getmany(timeout_ms=1000)).values():
                    records.extend(record for record in batch if record.offset < ends[partition])
    finally:
        await consumer.stop()
    return records


async def read_until(
    kafka: KafkaServer,
    topic: str,
    enough: Callable[[list[ConsumerRecord]], bool],
    *,
    timeout_seconds: float = WAIT_SECONDS,
) -> list[ConsumerRecord]:
    """Return a topic's records from its beginning, as soon as `enough` is true for them.

    Raises:
        AssertionError: that did not happen in time; the message has the records.
    """
    consumer = _consumer(kafka)
    await consumer.start()
    records: list[ConsumerRecord] = []
    try:
        async with asyncio.timeout(timeout_seconds):
            await _assign(consumer, [topic])
            while not enough(records):
                records.append(await consumer.getone())
    except TimeoutError:
        raise AssertionError(f"{topic} never had enough records: {records}") from None
    finally:
        await consumer.stop()
    return records


async def read_count(kafka: KafkaServer, topic: str, count: int) -> list[ConsumerRecord]:
    """Return the first `count` records of a topic."""
    return await read_until(kafka, topic, lambda records: len(records) >= count)


async def committed(kafka: KafkaServer, *, group: str, topic: str) -> dict[int, int]:
    """Return the group's committed offsets by partition of the topic, where there is one."""
    consumer = _consumer(kafka, group=group)
    await consumer.start()
    try:
        # Assigned by hand, so that the group is not rebalanced.
        offsets = {
            partition.partition: await consumer.committed(partition)
            for partition in await _assign(consumer, [topic])
        }
    finally:
        await consumer.stop()
    return {partition: offset for partition, offset in offsets.items() if offset is not None}


def _consumer(kafka: KafkaServer, *, group: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_MAX_BYTES,
        fetch_max_wait_ms=100,
    )


async def _assign(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    partitions = [
        partition
        for topic in topics
        for partition in sorted(await partitions_of(consumer, [topic]))
    ]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    return partitions
