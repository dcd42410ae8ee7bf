"""The producer on real Kafka: crashes, silent brokers and refusals."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sluice_contracts.records import OutgoingRecord
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import incoming
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.support.kafka import create_topic, read_all, unique_name

pytestmark = pytest.mark.integration

LARGE = {"max.message.bytes": "2097152"}


def within(seconds: float = 30) -> Deadline:
    return Deadline("send", timedelta(seconds=seconds))


def make_producer(kafka: EmbeddedKafka) -> RecordProducer:
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    return RecordProducer(settings, client_id="test")


@pytest.fixture
async def producer(kafka: EmbeddedKafka) -> AsyncIterator[RecordProducer]:
    producer = make_producer(kafka)
    yield producer
    await producer.close()


@pytest.fixture
async def topic(kafka: EmbeddedKafka) -> str:
    topic = unique_name("producing")
    await create_topic(kafka, topic, config=LARGE)
    return topic


@pytest.mark.parametrize(
    "record",
    [
        OutgoingRecord(key=b"k", value=b"v", headers=(("a", b"1"), ("a", b"\xff"), ("ü", b""))),
        OutgoingRecord(key=b"", value=b""),
        OutgoingRecord(key=b"k", value=None),
        OutgoingRecord(key=None, value=b"v" * 1_600_000),
    ],
)
async def test_an_acknowledged_record_can_be_read(
    kafka: EmbeddedKafka, producer: RecordProducer, topic: str, record: OutgoingRecord
) -> None:
    appended = await producer.send(topic, record, deadline=within())
    (read,) = [incoming(each) for each in await read_all(kafka, topic)]
    assert read.position == appended.position
    assert (read.key, read.value, read.headers) == (record.key, record.value, record.headers)


async def test_a_record_without_key_and_value_is_written_with_an_empty_value(
    kafka: EmbeddedKafka, producer: RecordProducer, topic: str
) -> None:
    await producer.send(topic, OutgoingRecord(key=None, value=None), deadline=within())
    (read,) = await read_all(kafka, topic)
    assert (read.key, read.value) == (None, b"")


async def test_a_too_large_record_is_refused_and_the_next_succeeds(
    kafka: EmbeddedKafka, producer: RecordProducer, topic: str
) -> None:
    """The refusal leaves a gap in the sequence numbers: the old producer could send no more."""
    for _ in range(3):
        await producer.send(topic, OutgoingRecord(key=b"k", value=b"small"), deadline=within())
        with pytest.raises(RecordRefusedError, match=f"{topic}: the record has 2200001 bytes"):
            await producer.send(
                topic, OutgoingRecord(key=b"k", value=b"v" * 2_200_000), deadline=within()
            )
    await producer.send(topic, OutgoingRecord(key=b"k", value=b"last"), deadline=within())
    assert [each.value for each in await read_all(kafka, topic)] == [b"small"] * 3 + [b"last"]


async def test_a_too_large_record_does_not_refuse_concurrent_small_ones(
    producer: RecordProducer, topic: str
) -> None:
    records = [OutgoingRecord(key=b"k", value=b"v" * size) for size in (10, 2_200_000, 20) * 10]
    results = await asyncio.gather(
        *(producer.send(topic, record, deadline=within()) for record in records),
        return_exceptions=True,
    )
    for record, result in zip(records, results, strict=True):
        assert isinstance(result, RecordRefusedError) is (record.size > 2_000_000) or isinstance(
            result, KafkaUnavailableError
        )
    await producer.send(topic, records[0], deadline=within())


async def test_a_missing_topic_is_unavailable(producer: RecordProducer) -> None:
    with pytest.raises(KafkaUnavailableError):
        await producer.send(
            unique_name("none"), OutgoingRecord(key=b"k", value=b"v"), deadline=within(3)
        )


async def test_no_broker_is_unavailable(own_kafka: EmbeddedKafka) -> None:
    producer = make_producer(own_kafka)
    with pytest.raises(KafkaUnavailableError, match="No broker answered"):
        await producer.start(deadline=within(2))
    async with asyncio.timeout(10):
        await producer.close()


async def test_a_killed_broker_loses_no_acknowledged_record(
    own_kafka: EmbeddedKafka,
) -> None:
    await own_kafka.start()
    await create_topic(own_kafka, "t", partitions=2)
    producer = make_producer(own_kafka)
    acknowledged: list[bytes] = []
    enough = {count: asyncio.Event() for count in (200, 400)}
    numbers, failures = itertools.count(), 0

    async def client() -> None:
        nonlocal failures
        while not enough[400].is_set():
            value = b"%d" % next(numbers)
            try:
                await producer.send("t", OutgoingRecord(key=value, value=value), deadline=within(2))
            except KafkaUnavailableError:
                failures += 1
                continue
            acknowledged.append(value)
            if len(acknowledged) == 200:
                enough[200].set()
                # The others go on only after what follows has begun.
                await down.wait()
            if len(acknowledged) >= 400:
                enough[400].set()

    down = asyncio.Event()
    clients = [asyncio.create_task(client()) for _ in range(10)]
    try:
        await enough[200].wait()
        await asyncio.to_thread(own_kafka.kill_for_test)
        down.set()
        with pytest.raises(KafkaUnavailableError):
            await producer.send("t", OutgoingRecord(key=b"k", value=b"?"), deadline=within(2))
        assert producer.unavailable() is not None
        await own_kafka.start()
        await asyncio.gather(*clients)
    finally:
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    await producer.send("t", OutgoingRecord(key=b"k", value=b"!"), deadline=within())
    assert producer.unavailable() is None
    await producer.close()
    assert failures > 0
    written = [each.value for each in await read_all(own_kafka, "t")]
    assert {*acknowledged, b"!"} <= set(written)


async def test_a_silent_broker_does_not_delay_beyond_the_deadline(own_kafka: EmbeddedKafka) -> None:
    """A stopped broker keeps connections open without answers, and stop() would wait for them."""
    await own_kafka.start()
    await create_topic(own_kafka, "t")
    producer = make_producer(own_kafka)
    await producer.send("t", OutgoingRecord(key=b"k", value=b"before"), deadline=within())
    pid = own_kafka.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = within(1)
        with pytest.raises(KafkaUnavailableError, match="not acknowledged in time"):
            # Half a request's timeout (10 s) would be longer than what the deadline allows.
            await asyncio.wait_for(
                producer.send("t", OutgoingRecord(key=b"k", value=b"during"), deadline=deadline), 5
            )
    finally:
        os.kill(pid, signal.SIGCONT)
    await producer.send("t", OutgoingRecord(key=b"k", value=b"after"), deadline=within())
    await producer.close()
    values = [each.value for each in await read_all(own_kafka, "t")]
    assert (values[0], values[-1]) == (b"before", b"after")
