"""The request topic, from the writing end."""

import asyncio
from datetime import timedelta

import pytest
import structlog

from sluice_contracts.ids import RunKey
from sluice_contracts.records import header
from sluice_contracts.requests import RunRequest
from sluice_contracts.strict_json import MAX_VALUES
from sluice_gateway.adapters.request_producer import KafkaRequestProducer
from sluice_gateway.ports import RecordTooLargeError, RequestNotAcknowledgedError
from sluice_runtime.backoff import Backoff
from tests.support.fake_producer import FakeProducer
from tests.unit.gateway.harness import GREET, NOW, TRACEPARENT

KEY = RunKey("default", "order-1")
REQUEST = RunRequest.model_validate({"id": "order-1", **GREET})


def log_of(producer: FakeProducer) -> KafkaRequestProducer:
    return KafkaRequestProducer(
        producer,
        topic="requests",
        timeout=timedelta(seconds=10),
        backoff=Backoff(uniform=lambda _, longest: longest),
    )


async def append(log: KafkaRequestProducer, request: RunRequest = REQUEST) -> None:
    await log.append(request, content=request.content(), key=KEY, time=NOW, traceparent=TRACEPARENT)


async def test_a_request_is_written_as_a_cloud_event() -> None:
    producer = FakeProducer()
    await append(log_of(producer))

    [record] = producer.records_for_test("requests")
    assert record.key == b"default/order-1"
    assert header(record.headers, "ce_type") == "sluice.request.run"
    assert header(record.headers, "ce_source") == "/sluice/gateway"
    assert header(record.headers, "ce_id") == "default/order-1"
    assert header(record.headers, "traceparent") == TRACEPARENT


async def test_a_record_that_grows_past_what_the_dispatcher_takes_is_refused() -> None:
    producer = FakeProducer()
    # Four bytes in a body, eighteen in the record.
    numbers = REQUEST.model_copy(update={"parameters": {"numbers": [1e15] * 100_000}})
    with pytest.raises(RecordTooLargeError, match="1600000 are allowed"):
        await append(log_of(producer), numbers)
    assert producer.records_for_test("requests") == []


async def test_a_record_that_then_holds_too_many_values_is_refused() -> None:
    """The body holds just as many as are allowed; the record adds its type and id."""
    producer = FakeProducer()
    values = REQUEST.model_copy(update={"parameters": {"numbers": [1] * (MAX_VALUES - 7)}})
    with pytest.raises(RecordTooLargeError, match="20000 are allowed"):
        await append(log_of(producer), values)
    assert producer.records_for_test("requests") == []


async def test_a_record_that_the_topic_does_not_take_is_refused() -> None:
    with pytest.raises(RecordTooLargeError):
        await append(log_of(FakeProducer(max_record_bytes=10)))


@pytest.mark.looptime
async def test_a_late_acknowledgement_does_not_count() -> None:
    producer = FakeProducer()
    log = log_of(producer)
    began = asyncio.get_running_loop().time()
    async with producer.hold_for_test():
        with pytest.raises(RequestNotAcknowledgedError):
            await append(log)
    assert asyncio.get_running_loop().time() == began + 10


async def test_it_is_available_once_kafka_has_answered() -> None:
    producer = FakeProducer()
    log = log_of(producer)
    assert log.unavailable() is not None
    await append(log)
    assert log.unavailable() is None
    producer.fail_next_for_test()
    with pytest.raises(RequestNotAcknowledgedError):
        await append(log)
    assert log.unavailable() is not None


@pytest.mark.looptime
async def test_it_connects_again_without_a_request_that_would_find_out() -> None:
    producer = FakeProducer()
    producer.away_for_test(away=True)
    log = log_of(producer)
    clock = asyncio.get_running_loop()
    began = clock.time()
    with structlog.testing.capture_logs() as logs:
        reconnecting = asyncio.create_task(log.reconnect())
        await producer.attempts_for_test(3)
        assert clock.time() == pytest.approx(began + 0.2 + 0.4)
        assert log.unavailable() is not None
        producer.away_for_test(away=False)
        await producer.attempts_for_test(4)
        await asyncio.sleep(0)
        assert log.unavailable() is None
        # And so after every failure.
        producer.fail_next_for_test()
        with pytest.raises(RequestNotAcknowledgedError):
            await append(log)
        await producer.attempts_for_test(6)
        await asyncio.sleep(0)
        assert log.unavailable() is None
        reconnecting.cancel()
        await asyncio.wait({reconnecting})
    assert [each["event"] for each in logs] == [
        *["Kafka is away"] * 3,
        *["connected to Kafka"] * 2,
    ]
