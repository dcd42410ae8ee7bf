"""The producers of topic sets: what one set waits for, no other does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import structlog

from sluice_contracts.records import Appended, OutgoingRecord
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_gateway.adapters.topic_set_producers import StartableProducer, TopicSetProducers
from sluice_gateway.ports import TopicSetFullError
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from tests.support.fake_producer import FakeProducer

TOPICS = TopicSets(doors=[Door(name="acme", tenants=("acme",))])
ACME, DEFAULT = TOPICS.of_tenant("acme"), TOPICS.default
RECORD = OutgoingRecord(key=b"key", value=b"x" * 95_000, headers=())
ROOM = 1_000_000


def producers_of(producers: Mapping[str, StartableProducer]) -> TopicSetProducers:
    return TopicSetProducers(
        producers,
        max_bytes=ROOM,
        timeout=timedelta(seconds=10),
        backoff=Backoff(uniform=lambda _, longest: longest),
    )


async def send(sending: TopicSetProducers, *, door: str = "") -> Appended:
    topic_set = ACME if door else DEFAULT
    deadline = Deadline("writing", timedelta(seconds=10))
    return await sending.send(topic_set, RECORD, deadline=deadline)


@asynccontextmanager
async def reconnecting(sending: TopicSetProducers) -> AsyncIterator[None]:
    task = asyncio.create_task(sending.reconnect())
    yield
    task.cancel()
    await asyncio.wait({task})


async def test_each_set_has_its_own_producer() -> None:
    acme, others = FakeProducer(), FakeProducer()
    sending = producers_of({"": others, "acme": acme})
    async with acme.hold_for_test():
        waiting = asyncio.create_task(send(sending, door="acme"))
        await acme.waiting_for_test(1)
        appended = await send(sending)
        assert appended.position.topic == "sluice.requests"
        assert not waiting.done()
    assert (await waiting).position.topic == "sluice.requests.acme"


async def test_what_one_set_has_on_its_way_leaves_room_for_the_other() -> None:
    acme, others = FakeProducer(), FakeProducer()
    sending = producers_of({"": others, "acme": acme})
    async with acme.hold_for_test(), others.hold_for_test():
        # Half of the room, and then a third each would be left.
        waiting = [asyncio.create_task(send(sending, door="acme")) for _ in range(5)]
        await acme.waiting_for_test(5)
        with pytest.raises(TopicSetFullError, match=r"door 'acme': too much is not acknowledged"):
            await send(sending, door="acme")
        waiting += [asyncio.create_task(send(sending)) for _ in range(2)]
        await others.waiting_for_test(2)
    await asyncio.gather(*waiting)
    # All of it is given back.
    async with acme.hold_for_test():
        again = [asyncio.create_task(send(sending, door="acme")) for _ in range(5)]
        await acme.waiting_for_test(5)
    await asyncio.gather(*again)


async def test_what_was_not_acknowledged_is_given_back() -> None:
    acme = FakeProducer()
    sending = producers_of({"": FakeProducer(), "acme": acme})
    acme.fail_next_for_test(times=20)
    for _ in range(20):
        with pytest.raises(KafkaUnavailableError):
            await send(sending, door="acme")
    await send(sending, door="acme")


async def test_a_single_set_has_all_the_room() -> None:
    producer = FakeProducer()
    sending = producers_of({"": producer})
    async with producer.hold_for_test():
        waiting = [asyncio.create_task(send(sending)) for _ in range(10)]
        await producer.waiting_for_test(10)
        with pytest.raises(TopicSetFullError, match="the default topics: too much"):
            await send(sending)
    await asyncio.gather(*waiting)


async def test_it_is_available_once_kafka_has_answered() -> None:
    producer = FakeProducer()
    sending = producers_of({"": producer})
    assert sending.unavailable() is not None
    await send(sending)
    assert sending.unavailable() is None
    producer.fail_next_for_test()
    with pytest.raises(KafkaUnavailableError):
        await send(sending)
    assert sending.unavailable() is not None


async def test_it_is_available_while_one_set_of_several_fails() -> None:
    acme = FakeProducer()
    sending = producers_of({"": FakeProducer(), "acme": acme})
    await send(sending)
    acme.fail_next_for_test()
    with pytest.raises(KafkaUnavailableError):
        await send(sending, door="acme")
    assert sending.unavailable() is None


@pytest.mark.looptime
async def test_it_connects_again_without_a_request_that_would_find_out() -> None:
    producer = FakeProducer()
    producer.away_for_test(away=True)
    sending = producers_of({"": producer})
    clock = asyncio.get_running_loop()
    began = clock.time()
    with structlog.testing.capture_logs() as logs:
        async with reconnecting(sending):
            await producer.attempts_for_test(3)
            assert clock.time() == pytest.approx(began + 0.2 + 0.4)
            assert sending.unavailable() is not None
            producer.away_for_test(away=False)
            await producer.attempts_for_test(4)
            await asyncio.sleep(0)
            assert sending.unavailable() is None
            # And so after every failure.
            producer.fail_next_for_test()
            with pytest.raises(KafkaUnavailableError):
                await send(sending)
            await producer.attempts_for_test(6)
            await asyncio.sleep(0)
            assert sending.unavailable() is None
    assert [each["event"] for each in logs] == [
        *["Kafka is away"] * 3,
        *["connected to Kafka"] * 2,
    ]


@pytest.mark.looptime
async def test_a_set_without_requests_does_not_hide_that_kafka_is_away() -> None:
    acme, others = FakeProducer(), FakeProducer()
    sending = producers_of({"": others, "acme": acme})
    await send(sending)
    await send(sending, door="acme")
    others.away_for_test(away=True)
    with pytest.raises(KafkaUnavailableError):
        await send(sending)
    async with reconnecting(sending):
        await others.attempts_for_test(3)
        assert sending.unavailable() is not None
        # An acknowledgement for any set says that Kafka is there.
        await send(sending, door="acme")
        assert sending.unavailable() is None
