"""The request topic, from the writing end."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from sluice_contracts.ids import RunKey
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import header
from sluice_contracts.request_codec import decode_request
from sluice_contracts.requests import RunRequest, SimpleCommand
from sluice_contracts.signatures import KeyRing, SigningKey, new_secret
from sluice_contracts.strict_json import MAX_VALUES
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.request_producer import KafkaRequestProducer
from sluice_gateway.domain.identity import Principal, PrincipalKind
from sluice_gateway.ports import (
    RecordTooLargeError,
    RequestNotAcknowledgedError,
    UnsafeTopicError,
)
from tests.support.fake_producer import TIMESTAMP_MS, FakeProducer
from tests.unit.gateway.harness import GREET, NOW, TRACEPARENT, request_producer_of

KEY = RunKey("default", "order-1")
REQUEST = RunRequest.model_validate({"id": "order-1", **GREET})


ADA = Principal(kind=PrincipalKind.USER, id="ada")


def log_of(producer: FakeProducer) -> KafkaRequestProducer:
    return request_producer_of(producer, topics=TopicSets(TopicNames(requests="requests")))


async def append(log: KafkaRequestProducer, request: RunRequest = REQUEST) -> None:
    await log.append(
        request,
        content=request.content(),
        key=KEY,
        time=NOW,
        traceparent=TRACEPARENT,
        author=ADA.author(),
    )


async def test_a_request_is_written_as_a_cloud_event() -> None:
    producer = FakeProducer()
    await append(log_of(producer))

    [record] = producer.records_for_test("requests")
    assert record.key == b"default/order-1"
    assert header(record.headers, "ce_type") == "sluice.request.run"
    assert header(record.headers, "ce_source") == "/sluice/gateway"
    assert header(record.headers, "ce_id") == "default/order-1"
    assert header(record.headers, "traceparent") == TRACEPARENT
    assert header(record.headers, "ce_authtype") == "user"
    assert header(record.headers, "ce_authid") == "user:ada"


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


APPENDED = datetime.fromtimestamp(TIMESTAMP_MS / 1000, UTC)
DOORS = TopicSets(
    doors=[
        Door(name="acme", tenants=("acme",)),
        Door(name="two", tenants=("globex", "initech")),
    ]
)


def keys_of(*tenants: str) -> KeyRing:
    return KeyRing.of(
        SigningKey(tenant=tenant, secret=SecretStr(new_secret())) for tenant in tenants
    )


async def append_for(log: KafkaRequestProducer, tenant: str) -> None:
    request = REQUEST.model_copy(update={"tenant": tenant})
    await log.append(
        request,
        content=request.content(),
        key=RunKey(tenant, "order-1"),
        time=APPENDED,
        traceparent=TRACEPARENT,
        author=ADA.author(),
    )
    stop = SimpleCommand(type="stop", id="order-1", tenant=tenant)
    await log.append_command(stop, time=APPENDED, traceparent=TRACEPARENT, author=ADA.author())


@pytest.mark.parametrize("keys", [None, keys_of("*"), keys_of("globex", "*")])
async def test_a_tenant_s_requests_go_to_its_topic_and_are_from_it(keys: KeyRing | None) -> None:
    producer = FakeProducer()
    log = request_producer_of(producer, topics=DOORS, keys=keys)
    for tenant in ("default", "acme", "globex", "other"):
        await append_for(log, tenant)
    origins = RecordOrigins(DOORS, keys=keys)
    found = {
        topic: [
            decode_request(each, origins=origins).key for each in producer.records_for_test(topic)
        ]
        for topic in DOORS.requests
    }
    assert found == {
        "sluice.requests": [RunKey(t, "order-1") for t in ("default", "default", "other", "other")],
        "sluice.requests.acme": [RunKey("acme", "order-1")] * 2,
        "sluice.requests.two": [RunKey("globex", "order-1")] * 2,
    }
    signed = [
        each.key
        for topic in DOORS.requests
        for each in producer.records_for_test(topic)
        if header(each.headers, "webhook-signature")
    ]
    assert signed == ([] if keys is None else [b"other/order-1"] * 2 + [b"globex/order-1"] * 2)


async def test_what_cannot_be_signed_is_not_written() -> None:
    producer = FakeProducer()
    log = request_producer_of(producer, topics=DOORS, keys=keys_of("globex"))
    with pytest.raises(UnsafeTopicError, match=r"Add one to kafka\.signing_keys_file"):
        await append_for(log, "initech")
    await append_for(log, "globex")
    assert len(producer.records_for_test("sluice.requests.two")) == 2


async def test_a_topic_that_cannot_be_trusted_stops_its_own_tenants_alone() -> None:
    producer = FakeProducer()
    log = request_producer_of(
        producer,
        topics=DOORS,
        unsafe=lambda topic: "it forgets" if topic == "sluice.requests.acme" else None,
    )
    with pytest.raises(UnsafeTopicError, match="it forgets"):
        await append_for(log, "acme")
    await append_for(log, "globex")


async def test_a_signed_request_that_its_readers_will_refuse_is_not_accepted() -> None:
    """The gateway's clock is an hour behind the broker's."""
    producer, keys = FakeProducer(), keys_of("*")
    log = request_producer_of(producer, topics=DOORS, keys=keys)
    request = REQUEST.model_copy(update={"tenant": "other"})
    with pytest.raises(RequestNotAcknowledgedError, match=r"more than 5 minutes.* Set the clocks"):
        await log.append(
            request,
            content=request.content(),
            key=RunKey("other", "order-1"),
            time=APPENDED - timedelta(hours=1),
            traceparent=TRACEPARENT,
            author=ADA.author(),
        )
