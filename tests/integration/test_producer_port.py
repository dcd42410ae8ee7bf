"""The real producer on real Kafka faces the suite that its stand-ins face."""

from collections.abc import AsyncIterator

import pytest

from sluice_contracts.records import IncomingRecord
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.kafka.consumer import incoming
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.behaviour.producer_port import PartitionedProducerPortSuite, Read
from tests.support.kafka import create_topic, read_all, unique_name

pytestmark = pytest.mark.integration


class TestRecordProducer(PartitionedProducerPortSuite):
    @pytest.fixture
    async def topic(self, kafka: EmbeddedKafka) -> str:
        topic = unique_name("producer")
        await create_topic(kafka, topic, partitions=3)
        return topic

    @pytest.fixture
    async def producer(self, kafka: EmbeddedKafka) -> AsyncIterator[RecordProducer]:
        settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
        producer = RecordProducer(settings, client_id="test")
        yield producer
        await producer.close()

    @pytest.fixture
    def read(self, kafka: EmbeddedKafka) -> Read:
        async def read(topic: str) -> list[IncomingRecord]:
            return [incoming(each) for each in await read_all(kafka, topic)]

        return read
