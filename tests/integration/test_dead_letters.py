"""Dead letters on real Kafka: read by their place, and known to every gateway."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.dead_letters.topics import KafkaLetterTopics
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import Producer, RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from tests.behaviour.letter_topics_port import Away, Expire, LetterTopicsPortSuite
from tests.integration.test_gateway_kafka import HELLO, Running, gateway, requests_on, until
from tests.support.kafka import create_topic, produce, topic_names, unique_name

pytestmark = pytest.mark.integration


class TestKafkaLetterTopics(LetterTopicsPortSuite):
    @pytest.fixture
    async def topic(self, kafka: EmbeddedKafka) -> str:
        topic = unique_name("letters")
        await create_topic(kafka, topic, partitions=3)
        return topic

    @pytest.fixture
    def servers(self, kafka: EmbeddedKafka) -> list[str]:
        """The brokers that a consumer finds; nobody answers at port 1."""
        return [kafka.bootstrap_servers]

    @pytest.fixture
    async def producer(self, kafka: EmbeddedKafka) -> AsyncIterator[RecordProducer]:
        settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
        producer = RecordProducer(settings, client_id="test")
        yield producer
        await producer.close()

    @pytest.fixture
    def letter_topics(self, servers: list[str], producer: Producer) -> KafkaLetterTopics:
        return KafkaLetterTopics(
            producer_of=lambda _: producer,
            make_consumer=lambda: make_consumer(
                KafkaSettings(bootstrap_servers=servers[0]), client_id="test"
            ),
            timeout=timedelta(seconds=30),
        )

    @pytest.fixture
    def expire(self, kafka: EmbeddedKafka) -> Expire:
        async def expire(position: Position) -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
            await admin.start()
            partition = TopicPartition(position.topic, position.partition)
            try:
                await admin.delete_records({partition: RecordsToDelete(position.offset + 1)})
            finally:
                await admin.close()

        return expire

    @pytest.fixture
    def away(self, servers: list[str]) -> Away:
        def away() -> None:
            servers[0] = "127.0.0.1:1"

        return away


async def bury(kafka: EmbeddedKafka, topics: TopicNames, value: bytes) -> None:
    record = IncomingRecord(
        position=Position(topics.requests, 0, 7), timestamp_ms=5, key=b"k", value=value
    )
    why = problem(ProblemType.UNKNOWN_WORKFLOW, "No.")
    letter = encode_dead_letter(record, why, key=None)
    await produce(kafka, topics.dlq, letter.value, key=letter.key, headers=list(letter.headers))


async def known_to_both(
    one: Running, two: Running, path: str, *, state: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what both gateways show of the letter, once they have read the same."""

    async def ask() -> tuple[int, dict[str, Any]]:
        here, there = (await one.get(path))[1], (await two.get(path))[1]
        return 200, {"same": here == there and here.get("state") == state, "shown": (here, there)}

    answer = await until(ask, lambda answer: answer[1]["same"])
    found: tuple[dict[str, Any], dict[str, Any]] = answer["shown"]
    return found


async def test_what_one_gateway_decides_is_known_to_others_and_after_a_restart(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("letters")
    async with (
        gateway(kafka, topics, tmp_path / "one") as one,
        gateway(kafka, topics, tmp_path / "two") as two,
    ):
        for _ in range(2):
            await bury(kafka, topics, b'{"workflow": "hello", "parameters": {"name": "Ada"}}')
        listed = await until(
            lambda: one.get("/v1/dead-letters"),
            lambda answer: answer[0] == 200 and len(answer[1]["dead_letters"]) == 2,
        )
        replayed, dropped = [each["links"]["self"] for each in listed["dead_letters"]]
        assert f'sluice_gateway_dead_letters{{topic="{topics.dlq}"}} 2.0' in await one.metrics()
        status, letter = await one.get(replayed)
        assert (status, letter["payload"]["key"]["data"]) == (200, "k")

        # Both gateways at once: whatever they know of each other, it is one run.
        answers = await asyncio.gather(
            one.session.post(f"{one.url}{replayed}/replay"),
            two.session.post(f"{two.url}{replayed}/replay"),
        )
        assert 202 in {each.status for each in answers}
        assert {each.status for each in answers} <= {202, 404, 409}
        assert len({each.key for each in await requests_on(kafka, topics)}) == 1
        async with one.session.post(f"{one.url}{dropped}/drop", json={"reason": "x"}) as answer:
            assert answer.status == 202
        for path, state in ((replayed, "replayed"), (dropped, "dropped")):
            here, there = await known_to_both(one, two, path, state=state)
            assert here == there
    async with gateway(kafka, topics, tmp_path / "three") as three:
        again = await until(lambda: three.get("/v1/dead-letters"), lambda answer: answer[0] == 200)
        assert [each["state"] for each in again["dead_letters"]] == ["replayed", "dropped"]
        assert (await three.post({"id": "another", **HELLO}))[0] == 202
