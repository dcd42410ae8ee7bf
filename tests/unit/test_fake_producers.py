"""The stand-ins of the producer face the same suite as the real one on real Kafka."""

from typing import Any

import pytest

from sluice_contracts.records import IncomingRecord
from sluice_runtime.kafka.consumer import incoming
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.behaviour.producer_port import PartitionedProducerPortSuite, Read
from tests.support.fake_producer import FakeProducer
from tests.unit.runtime.kafka.fake_kafka import FakeCluster

pytestmark = pytest.mark.looptime


class TestFakeProducer(PartitionedProducerPortSuite):
    @pytest.fixture
    def topic(self) -> str:
        return "t"

    @pytest.fixture
    async def producer(self) -> FakeProducer:
        return FakeProducer()

    @pytest.fixture
    def read(self, producer: FakeProducer) -> Read:
        async def read(topic: str) -> list[IncomingRecord]:
            return producer.records_for_test(topic)

        return read


class TestRecordProducerOnFakeBrokers(PartitionedProducerPortSuite):
    @pytest.fixture
    async def cluster(self) -> FakeCluster:
        return FakeCluster()

    @pytest.fixture
    def topic(self, cluster: FakeCluster) -> str:
        cluster.create_for_test("t", partitions=3)
        return "t"

    @pytest.fixture
    def producer(self, cluster: FakeCluster) -> RecordProducer:
        make: Any = cluster.make_producer
        return RecordProducer(KafkaSettings(), client_id="test", make=make)

    @pytest.fixture
    def read(self, cluster: FakeCluster) -> Read:
        async def read(topic: str) -> list[IncomingRecord]:
            return [
                incoming(each)
                for tp, log in cluster.logs.items()
                if tp.topic == topic
                for each in log.records
            ]

        return read
