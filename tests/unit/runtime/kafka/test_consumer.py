"""A consumer is stopped whatever happens, and knows all partitions of its topics."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from sluice_runtime.deadlines import DeadlineExceededError
from sluice_runtime.kafka.consumer import partitions_of, started_consumer
from tests.unit.runtime.kafka.fake_kafka import FakeAIOKafkaConsumer, FakeCluster


@pytest.fixture
async def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.create_for_test("t", partitions=2)
    cluster.create_for_test("u")
    return cluster


async def test_a_consumer_is_started_for_the_body_and_stopped_after_it(
    cluster: FakeCluster,
) -> None:
    make: Any = cluster.make_consumer

    async def use() -> None:
        async with started_consumer(make):
            assert [consumer.state for consumer in cluster.consumers] == ["started"]
            raise ValueError("of the body")

    with pytest.raises(ValueError, match="of the body"):
        await use()
    assert [consumer.state for consumer in cluster.consumers] == ["stopped"]


async def test_a_consumer_that_cannot_connect_is_stopped(cluster: FakeCluster) -> None:
    cluster.down = True
    make: Any = cluster.make_consumer
    with pytest.raises(KafkaConnectionError):
        async with started_consumer(make):
            pytest.fail("It is not connected.")
    assert [consumer.state for consumer in cluster.consumers] == ["stopped"]


@pytest.mark.looptime
async def test_connecting_takes_no_longer_than_the_caller_allows(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(_: FakeAIOKafkaConsumer) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeAIOKafkaConsumer, "start", start)
    make: Any = cluster.make_consumer
    with pytest.raises(DeadlineExceededError, match="connect to Kafka: not done within 30 s"):
        async with started_consumer(make, within=timedelta(seconds=30)):
            pytest.fail("It is not connected.")
    assert [consumer.state for consumer in cluster.consumers] == ["stopped"]


async def test_partitions_are_those_of_all_topics(cluster: FakeCluster) -> None:
    consumer: Any = cluster.make_consumer()
    assert await partitions_of(consumer, ["t", "u"]) == {
        TopicPartition("t", 0),
        TopicPartition("t", 1),
        TopicPartition("u", 0),
    }


async def test_a_topic_that_is_missing_has_no_partitions(cluster: FakeCluster) -> None:
    consumer: Any = cluster.make_consumer()
    with pytest.raises(UnknownTopicOrPartitionError):
        await partitions_of(consumer, ["t", "missing"])
