"""The producer survives its own fatal errors, and no send exceeds its deadline."""

import asyncio
import gc
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    OutOfOrderSequenceNumber,
)

from sluice_contracts.records import OutgoingRecord, Position
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka import producer as producer_module
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.unit.runtime.clock import now, pause
from tests.unit.runtime.kafka.fake_kafka import FakeCluster
from tests.unit.runtime.log_capture import captured

pytestmark = pytest.mark.looptime

RECORD = OutgoingRecord(key=b"k", value=b"v", headers=(("h", b"1"),))


@pytest.fixture
async def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.create_for_test("t")
    return cluster


@pytest.fixture
def producer(cluster: FakeCluster) -> RecordProducer:
    make: Any = cluster.make_producer
    return RecordProducer(KafkaSettings(), client_id="test", make=make)


def within(seconds: float = 5) -> Deadline:
    return Deadline("send", timedelta(seconds=seconds))


async def send(producer: RecordProducer, record: OutgoingRecord = RECORD) -> Position:
    return (await producer.send("t", record, deadline=within())).position


async def test_a_record_is_written_unchanged(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    assert await send(producer) == Position("t", 0, 0)
    assert await send(producer) == Position("t", 0, 1)
    (log,) = cluster.logs.values()
    assert [(each.key, each.value, each.headers) for each in log.records] == [
        (b"k", b"v", (("h", b"1"),))
    ] * 2
    assert len(cluster.producers) == 1
    assert producer.unavailable() is None
    await producer.close()


async def test_all_replicas_must_acknowledge(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    arguments = cluster.producers[0].arguments
    assert (arguments["acks"], arguments["enable_idempotence"]) == ("all", True)
    assert arguments["client_id"] == "test"
    await producer.close()


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [(None, None, b""), (b"k", None, None), (None, b"", b""), (None, b"v", b"v")],
)
async def test_a_record_without_key_and_value_gets_an_empty_value(
    cluster: FakeCluster,
    producer: RecordProducer,
    key: bytes | None,
    value: bytes | None,
    written: bytes | None,
) -> None:
    await send(producer, OutgoingRecord(key=key, value=value))
    (log,) = cluster.logs.values()
    assert (log.records[0].key, log.records[0].value) == (key, written)
    await producer.close()


async def test_a_silent_broker_delays_a_send_by_its_deadline_only(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    cluster.silent = True
    # Like aiokafka's stop(), which waits for requests without an answer.
    cluster.producers[0].stops_only_when = asyncio.Event()
    with pytest.raises(KafkaUnavailableError, match="t: not acknowledged in time"):
        await send(producer)
    assert now() == 5
    assert producer.unavailable() == "Kafka: no acknowledgement in time"

    cluster.silent = False
    await send(producer)
    assert (now(), len(cluster.producers)) == (5, 2)
    assert producer.unavailable() is None
    cluster.producers[0].stops_only_when.set()
    await producer.close()
    assert [each.state for each in cluster.producers] == ["stopped", "stopped"]


async def test_a_broker_silent_from_the_start(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    cluster.silent = True
    with pytest.raises(KafkaUnavailableError):
        await producer.start(deadline=within(3))
    with pytest.raises(KafkaUnavailableError):
        await send(producer)
    assert now() == 8
    cluster.silent = False
    assert await send(producer) == Position("t", 0, 0)
    await producer.close()
    assert [each.state for each in cluster.producers] == ["stopped"] * 3


async def test_a_send_without_any_broker_fails(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    cluster.down = True
    with pytest.raises(KafkaUnavailableError, match="No broker answered"):
        await producer.start(deadline=within())
    with pytest.raises(KafkaUnavailableError, match="t: KafkaConnectionError"):
        await send(producer)
    assert producer.unavailable() == "Kafka: KafkaConnectionError"
    cluster.down = False
    await send(producer)
    await producer.close()
    assert {each.state for each in cluster.producers} == {"stopped"}


async def test_a_fatal_error_replaces_the_producer(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    cluster.fatal = OutOfOrderSequenceNumber()
    with captured(producer_module) as logged, pytest.raises(KafkaUnavailableError):
        await send(producer)
    assert [(each["event"], each["error"]) for each in logged] == [
        ("producer replaced", "OutOfOrderSequenceNumber")
    ]
    await send(producer)
    await producer.close()
    assert len(cluster.producers) == 2


async def test_pending_sends_fail_with_their_producer_and_the_next_works(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    cluster.silent = True
    first = asyncio.create_task(producer.send("t", RECORD, deadline=within(2)))
    others = [
        asyncio.create_task(producer.send("t", RECORD, deadline=within(60))) for _ in range(20)
    ]
    await cluster.in_flight_for_test(21)
    with captured(producer_module) as logged:
        results = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(each) for each in results] == [KafkaUnavailableError] * 21
    assert now() == 2
    assert [each["event"] for each in logged] == ["producer replaced"]

    cluster.silent = False
    await asyncio.gather(*(send(producer) for _ in range(20)))
    assert len(cluster.producers) == 2
    await producer.close()


async def test_concurrent_first_sends_make_one_producer(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await asyncio.gather(*(send(producer) for _ in range(20)))
    assert len(cluster.producers) == 1
    await producer.close()


async def test_a_cancelled_send_keeps_the_producer(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    cluster.silent = True
    impatient = asyncio.create_task(send(producer))
    await cluster.in_flight_for_test(1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    cluster.silent = False
    await send(producer)
    assert len(cluster.producers) == 1
    await producer.close()


async def test_a_cancelled_connection_attempt_leaves_nothing_open(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    cluster.silent = True
    impatient = asyncio.create_task(send(producer))
    await pause(1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await producer.close()
    assert [each.state for each in cluster.producers] == ["stopped"]


async def test_a_record_too_large_for_any_topic_is_refused_before_the_producer(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    for record in (
        OutgoingRecord(key=b"k", value=b"v" * (4 * 1024 * 1024)),
        OutgoingRecord(key=b"k", value=b"", headers=(("h", b"v" * 5_000_000),)),
    ):
        with pytest.raises(RecordRefusedError, match=f"t: the record has {record.size} bytes"):
            await send(producer, record)
    assert producer.unavailable() is None
    await send(producer)
    assert len(cluster.producers) == 1
    await producer.close()


async def test_a_record_too_large_for_its_topic_replaces_the_producer(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    """The broker's refusal leaves a gap in the sequence numbers (aiokafka #1017)."""
    with pytest.raises(RecordRefusedError, match="t: the record has 1048578 bytes"):
        await send(producer, OutgoingRecord(key=b"k", value=b"v" * (2**20 + 1)))
    await send(producer)
    assert len(cluster.producers) == 2
    assert producer.unavailable() is None
    await producer.close()


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), ConnectionResetError()])
async def test_a_failure_among_many_records_replaces_the_producer(
    cluster: FakeCluster, producer: RecordProducer, error: Any
) -> None:
    await producer.start(deadline=within())
    cluster.fatal = error
    with captured(producer_module) as logged:
        assert await producer.send_all("t", [RECORD] * 2000, deadline=within()) == 0
    assert [each["error"] for each in logged] == [type(error).__name__]
    assert producer.unavailable() == f"Kafka: {type(error).__name__}"
    assert await producer.send_all("t", [RECORD] * 2000, deadline=within()) == 2000
    assert producer.unavailable() is None
    await producer.close()
    assert len(cluster.producers) == 2


async def test_a_silent_broker_delays_many_records_by_their_deadline_only(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    await producer.start(deadline=within())
    cluster.silent = True
    assert await producer.send_all("t", [RECORD] * 3, deadline=within()) == 0
    assert (now(), producer.unavailable()) == (5, "Kafka: no acknowledgement in time")
    cluster.silent = False
    assert await producer.send_all("t", [RECORD] * 3, deadline=within()) == 3
    await producer.close()
    cluster.producers.clear()
    gc.collect()
    # asyncio would log an exception that nobody has retrieved.
    assert not unheard


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidTopicError(), RecordRefusedError),
        (KafkaError(), KafkaUnavailableError),
        (ConnectionResetError(), KafkaUnavailableError),
        (TimeoutError(), KafkaUnavailableError),
    ],
)
async def test_errors_of_the_client_become_ours(
    cluster: FakeCluster,
    producer: RecordProducer,
    error: Any,
    expected: type[Exception],
) -> None:
    cluster.fatal = error
    with pytest.raises(expected):
        await send(producer)
    cluster.fatal = None
    await producer.close()


async def test_a_closed_producer_stays_closed(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await send(producer)
    await producer.close()
    await producer.close()
    with pytest.raises(KafkaUnavailableError):
        await send(producer)
    assert [each.state for each in cluster.producers] == ["stopped"]


async def test_closing_fails_sends_in_flight(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    await producer.start(deadline=within())
    cluster.silent = True
    sending = asyncio.create_task(producer.send("t", RECORD, deadline=within(60)))
    await cluster.in_flight_for_test(1)
    await producer.close()
    with pytest.raises(KafkaUnavailableError):
        await sending
    assert now() == 0


async def test_closing_while_connecting_leaves_no_connection(
    cluster: FakeCluster, producer: RecordProducer
) -> None:
    cluster.silent = True
    sending = asyncio.create_task(producer.send("t", RECORD, deadline=within(60)))
    await pause(1)
    await producer.close()
    cluster.silent = False
    cluster.wake_for_test()
    with pytest.raises(KafkaUnavailableError):
        await sending
    await producer.close()
    assert [each.state for each in cluster.producers] == ["stopped"]


@pytest.mark.parametrize("error", [KafkaConnectionError(), KeyError("a batch")])
async def test_an_unclean_stop_is_logged_and_leaves_no_connection(
    cluster: FakeCluster, producer: RecordProducer, error: Exception
) -> None:
    await producer.start(deadline=within())
    cluster.producers[0].stop_fails_with = error
    with captured(producer_module) as logged:
        await producer.close()
    assert [each["event"] for each in logged] == ["producer did not stop cleanly"]
    assert cluster.producers[0].client.closed
