"""Records of clients: compression codecs and transactions."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer

from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.kafka.consumer import incoming, make_consumer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.support.kafka import WAIT_SECONDS, create_topic, produce, unique_name

pytestmark = pytest.mark.integration


async def read(kafka: EmbeddedKafka, topic: str, count: int) -> list[bytes | None]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, session_timeout=timedelta(seconds=6)
    )
    consumer = make_consumer(settings, client_id="test", group=unique_name("group"))
    consumer.subscribe([topic])
    await consumer.start()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return [incoming(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_all_compression_codecs_are_read(kafka: EmbeddedKafka, codec: str) -> None:
    topic = unique_name("codec")
    await create_topic(kafka, topic)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, compression_type=codec)
    async with producer:
        await producer.send_and_wait(topic, b"a" * 1000)
    await produce(kafka, topic, b"behind")
    assert await read(kafka, topic, 2) == [b"a" * 1000, b"behind"]


async def test_aborted_transactions_are_not_read(kafka: EmbeddedKafka) -> None:
    topic = unique_name("transaction")
    await create_topic(kafka, topic)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, transactional_id=unique_name("client")
    )
    async with producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed")
    await produce(kafka, topic, b"plain")
    assert await read(kafka, topic, 2) == [b"committed", b"plain"]
