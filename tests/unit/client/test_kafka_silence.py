"""Over Kafka, nothing takes longer than its time limit, however silent the brokers are."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from sluice_client import InvalidRequestError, OutcomeUnknownError, UnreachableError
from sluice_client.kafka_connection import KafkaConnection
from sluice_client.kafka_runs import KafkaRun
from sluice_contracts.ids import RunKey
from sluice_contracts.requests import RunRequest
from sluice_contracts.topics import TopicNames
from tests.unit.runtime.clock import now
from tests.unit.runtime.kafka.fake_kafka import FakeCluster

pytestmark = pytest.mark.looptime

KEY = RunKey("default", "order-1")
REQUEST = RunRequest(workflow="greet", id="order-1")
TOPICS = TopicNames()


@pytest.fixture
async def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.create_for_test(TOPICS.requests)
    return cluster


@pytest.fixture
def connection(cluster: FakeCluster) -> KafkaConnection:
    make: Any = cluster.make_producer
    return KafkaConnection(topics=TOPICS, settings={}, timeout=5, make=make)


async def start(connection: KafkaConnection) -> None:
    async with asyncio.timeout(100):
        await connection.write(REQUEST, KEY, unclear="Start it again.")


def written(cluster: FakeCluster) -> int:
    return sum(len(log.records) for log in cluster.logs.values())


async def test_a_start_is_unclear_when_its_time_is_over(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    cluster.silent = True
    with pytest.raises(OutcomeUnknownError, match=r"within 5 s\. Start it again"):
        await start(connection)
    assert now() == 5
    await connection.close()
    assert now() == 5
    assert [each.state for each in cluster.producers] == ["stopped"]


async def test_a_command_is_unclear_when_its_time_is_over(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    cluster.silent = True
    with pytest.raises(OutcomeUnknownError, match="repeat stop if it had no effect"):
        await KafkaRun(connection, KEY).stop()
    await connection.close()


async def test_a_start_after_the_silence_succeeds(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    cluster.silent = True
    with pytest.raises(OutcomeUnknownError):
        await start(connection)
    with pytest.raises(UnreachableError, match="nothing was written"):
        await start(connection)
    assert now() == 10
    cluster.silent = False
    await start(connection)
    # What was given up comes not later, out of the blue.
    assert written(cluster) == 1
    await connection.close()
    assert {each.state for each in cluster.producers} == {"stopped"}


async def test_brokers_that_are_silent_from_the_start_are_unreachable(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    cluster.silent = True
    with pytest.raises(UnreachableError, match="within 5 s"):
        await connection.open()
    assert now() == 5
    assert [each.state for each in cluster.producers] == ["stopped"]


async def test_closing_waits_for_what_is_sent_and_not_forever(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    cluster.silent = True
    starting = asyncio.create_task(start(connection))
    await cluster.in_flight_for_test(1)
    # Its caller has lost patience: aiokafka still has the record.
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    began = now()
    await connection.close()
    assert now() == began + 5
    assert [each.state for each in cluster.producers] == ["stopped"]


async def test_a_producer_that_does_not_stop_does_not_hold_its_user(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    [producer] = cluster.producers
    producer.stops_only_when = asyncio.Event()
    await connection.close()
    assert now() == 2
    assert producer.client.closed


async def test_after_a_fatal_error_another_producer_is_used(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    cluster.fatal = OutOfOrderSequenceNumber()
    with pytest.raises(OutcomeUnknownError, match="did not acknowledge"):
        await start(connection)
    await start(connection)
    assert (written(cluster), len(cluster.producers)) == (1, 2)
    await connection.close()


async def test_a_record_that_is_too_large_costs_others_nothing(
    cluster: FakeCluster, connection: KafkaConnection
) -> None:
    await connection.open()
    large = REQUEST.model_copy(update={"parameters": {"text": "a" * 5_000_000}})
    with pytest.raises(InvalidRequestError):
        await connection.write(large, KEY, unclear="")
    await start(connection)
    assert len(cluster.producers) == 1
    await connection.close()
