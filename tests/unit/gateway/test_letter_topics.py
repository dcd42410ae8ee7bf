"""The fake of the dead letter topics, and the real ones on a fake cluster, face one suite."""

from datetime import timedelta
from typing import Any

import pytest

from sluice_contracts.records import Position
from sluice_gateway.adapters.dead_letters.topics import KafkaLetterTopics
from sluice_gateway.ports import LetterTopics
from sluice_runtime.kafka.producer import Producer, RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.behaviour.letter_topics_port import Away, Expire, LetterTopicsPortSuite
from tests.support.fake_letters import FakeLetterTopics
from tests.support.fake_producer import FakeProducer
from tests.unit.runtime.kafka.fake_kafka import FakeCluster

pytestmark = pytest.mark.looptime


class TestFakeLetterTopics(LetterTopicsPortSuite):
    @pytest.fixture
    def topic(self) -> str:
        return "t"

    @pytest.fixture
    async def producer(self) -> FakeProducer:
        return FakeProducer()

    @pytest.fixture
    def letter_topics(self, producer: FakeProducer) -> FakeLetterTopics:
        return FakeLetterTopics(producer)

    @pytest.fixture
    def expire(self, letter_topics: FakeLetterTopics) -> Expire:
        async def expire(position: Position) -> None:
            letter_topics.expire_for_test(position)

        return expire

    @pytest.fixture
    def away(self, letter_topics: FakeLetterTopics) -> Away:
        return lambda: letter_topics.away_for_test(away=True)


class TestKafkaLetterTopicsOnFakeBrokers(LetterTopicsPortSuite):
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
    def letter_topics(self, cluster: FakeCluster, producer: Producer) -> LetterTopics:
        make: Any = cluster.make_consumer
        timeout = timedelta(seconds=10)
        return KafkaLetterTopics(
            producer_of=lambda _: producer, make_consumer=make, timeout=timeout
        )

    @pytest.fixture
    def expire(self, cluster: FakeCluster) -> Expire:
        async def expire(position: Position) -> None:
            cluster.expire_for_test(
                position.topic, before=position.offset + 1, partition=position.partition
            )

        return expire

    @pytest.fixture(params=["refuses", "is silent"])
    def away(self, cluster: FakeCluster, request: pytest.FixtureRequest) -> Away:
        def away() -> None:
            if request.param == "refuses":
                cluster.down = True
            else:
                cluster.silent = True

        return away

    async def test_no_consumer_is_left_open(
        self, cluster: FakeCluster, letter_topics: LetterTopics, producer: Producer, topic: str
    ) -> None:
        await self.test_a_record_that_is_not_written_yet_is_gone(letter_topics, producer, topic)
        assert {each.state for each in cluster.consumers} == {"stopped"}
