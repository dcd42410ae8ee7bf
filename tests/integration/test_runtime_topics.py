"""Topics on real Kafka: created, verified, and refused with helpful messages."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client import CollectorRegistry

from sluice_contracts.audit import audit_topic
from sluice_contracts.topic_sets import Door
from sluice_contracts.topics import TopicNames, topic_table
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicMismatchError, TopicWatch, ensure_topic, ensure_topics
from tests.support.kafka import (
    alter_topic,
    create_topic,
    produce,
    read_all,
    topic_names,
    unique_name,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def names() -> TopicNames:
    return topic_names("ensure")


@pytest.fixture
def settings(kafka: EmbeddedKafka, names: TopicNames) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=names,
        partitions=3,
        replication_factor=1,
    )


def within(seconds: float = 30) -> Deadline:
    return Deadline("verify topics", timedelta(seconds=seconds))


async def test_a_topic_beside_the_sets_is_created_once(
    kafka: EmbeddedKafka, settings: KafkaSettings
) -> None:
    spec = audit_topic(unique_name("audit"))
    for _ in range(2):
        await ensure_topic(settings, spec, client_id="test", deadline=within())
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        [described] = await admin.describe_topics([spec.name])
    finally:
        await admin.close()
    assert len(described["partitions"]) == 3


async def test_missing_topics_are_created_with_the_tables_settings(
    kafka: EmbeddedKafka, names: TopicNames, settings: KafkaSettings
) -> None:
    await ensure_topics(settings, client_id="test", deadline=within())
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        described = await admin.describe_topics([spec.name for spec in topic_table(names)])
        answers = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in topic_table(names)]
        )
    finally:
        await admin.close()
    assert [len(topic["partitions"]) for topic in described] == [3] * 4
    actual = {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
    for spec in topic_table(names):
        assert spec.config().items() <= actual[spec.name].items()


async def test_the_topics_of_a_door_are_created_and_verified_too(
    kafka: EmbeddedKafka, settings: KafkaSettings
) -> None:
    with_door = KafkaSettings.model_validate(
        settings.model_dump() | {"doors": [Door(name="acme", tenants=("acme",))]}
    )
    names = with_door.topic_sets.of_tenant("acme").topics
    await create_topic(kafka, names.status, config={"cleanup.policy": "compact"})
    with pytest.raises(TopicMismatchError, match=f"{names.status}: cleanup.policy is 'compact'"):
        await ensure_topics(with_door, client_id="test", deadline=within())
    # All others were created, and are right.
    assert await read_all(kafka, names.dlq) == []
    with pytest.raises(TopicMismatchError) as caught:
        await ensure_topics(with_door, client_id="test", deadline=within())
    assert names.results not in str(caught.value)


async def test_existing_topics_are_verified_and_unchanged(
    kafka: EmbeddedKafka, names: TopicNames, settings: KafkaSettings
) -> None:
    await ensure_topics(settings, client_id="test", deadline=within())
    await produce(kafka, names.requests, b"{}")
    await ensure_topics(settings, client_id="test", deadline=within())
    assert len(await read_all(kafka, names.requests)) == 1


@pytest.mark.parametrize("_", range(3))
async def test_concurrent_creation_succeeds(_: int, settings: KafkaSettings) -> None:
    await asyncio.gather(
        *(ensure_topics(settings, client_id=f"test-{n}", deadline=within()) for n in range(3))
    )


async def test_a_broken_promise_of_a_topic_is_named(
    kafka: EmbeddedKafka, names: TopicNames, settings: KafkaSettings
) -> None:
    config = {
        "cleanup.policy": "delete",
        "max.message.bytes": "1048588",
    }
    await create_topic(kafka, names.results, config=config)
    with pytest.raises(TopicMismatchError) as caught:
        await ensure_topics(settings, client_id="test", deadline=within())
    text = str(caught.value)
    assert text.startswith("These topics do not have the settings that Sluice needs:\n")
    assert f"  {names.results}: cleanup.policy is 'delete', must be 'compact,delete'.\n" in text
    assert f"  {names.results}: max.message.bytes is 1048588, must be at least " in text
    assert text.endswith(
        "Change them with kafka-configs.sh --alter, or name others in kafka.topics."
    )


async def test_the_longest_retention_counts_as_unlimited(
    kafka: EmbeddedKafka, names: TopicNames, settings: KafkaSettings
) -> None:
    config = topic_table(names).results.config() | {"retention.ms": str(2**63 - 1)}
    await create_topic(kafka, names.results, config=config)
    config = topic_table(names).dlq.config() | {"retention.ms": "-1"}
    await create_topic(kafka, names.dlq, config=config)
    await ensure_topics(settings, client_id="test", deadline=within())


async def test_topics_are_verified_periodically(
    kafka: EmbeddedKafka, names: TopicNames, settings: KafkaSettings
) -> None:
    await ensure_topics(settings, client_id="test", deadline=within())
    registry = CollectorRegistry()
    watch = TopicWatch(
        settings, client_id="test", registry=registry, every=timedelta(milliseconds=50)
    )
    watching = asyncio.create_task(watch.run())
    try:
        config = topic_table(names).requests.config()
        for unclean, found in (("true", 1), ("false", 0)):
            changed = config | {"unclean.leader.election.enable": unclean}
            await alter_topic(kafka, names.requests, changed)
            async with asyncio.timeout(30):
                while registry.get_sample_value("sluice_topic_mismatches") != found:
                    # As long as it takes Kafka to answer anything.
                    await read_all(kafka, names.requests)
            assert (watch.broken(names.requests) is not None) is bool(found)
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def test_more_replicas_than_brokers_is_a_mismatch(
    names: TopicNames, settings: KafkaSettings
) -> None:
    greedy = settings.model_copy(update={"replication_factor": 3})
    with pytest.raises(TopicMismatchError, match=r"kafka\.replication_factor") as caught:
        await ensure_topics(greedy, client_id="test", deadline=within())
    assert f"Topic {names.requests} cannot be created: " in str(caught.value)


async def test_no_broker_is_unavailable(own_kafka: EmbeddedKafka, settings: KafkaSettings) -> None:
    nobody = settings.model_copy(update={"bootstrap_servers": own_kafka.bootstrap_servers})
    with pytest.raises(KafkaUnavailableError, match="Topics could not be verified"):
        await ensure_topics(nobody, client_id="test", deadline=within(5))
