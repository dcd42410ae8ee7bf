"""Creates the topics that are missing, and refuses to start on topics that break a promise."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from sluice_contracts.topics import TopicTable, mismatches, topic_table
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.producing import KafkaUnavailableError
from sluice_runtime.kafka.settings import KafkaSettings, connection

__all__ = ["TopicMismatchError", "ensure_topics"]

_KNOWN_EVERYWHERE_PAUSE_S = 0.1

_log = structlog.get_logger(__name__)


class TopicMismatchError(Exception):
    """The cluster's topics are not what Sluice's promises rest on."""


async def ensure_topics(
    settings: KafkaSettings, *, client_id: str, deadline: Deadline
) -> Mapping[str, timedelta | None]:
    """Create the topics that are missing and verify all of them against the topic table.

    Gives each topic's retention; None stands for ever.

    Raises:
        TopicMismatchError: naming each topic and setting that is wrong, or why a topic cannot be
            created.
        KafkaUnavailableError: no broker answered in time.
        CredentialsError: a file that is to secure or authenticate the connection cannot be used.
    """
    table = topic_table(settings.topics)
    # Not tried again, as what goes wrong below is.
    arguments = connection(settings, client_id=client_id)
    try:
        async with deadline.enforce():
            admin = AIOKafkaAdminClient(**arguments)
            try:
                await admin.start()
                await _create_missing(admin, table, settings)
                actual = await _actual(admin, table)
            finally:
                await admin.close()
    except (KafkaError, OSError) as e:
        raise KafkaUnavailableError(f"Topics could not be verified: {type(e).__name__}.") from e
    found = mismatches(table, actual, in_sync_replicas=settings.in_sync_replicas)
    if found:
        raise TopicMismatchError(
            "\n".join(
                [
                    "These topics are not set up as Sluice needs them:",
                    *(f"  {sentence}" for sentence in found),
                    "Change them with kafka-configs.sh --alter, or name others in kafka.topics.",
                ]
            )
        )
    return {topic: _retention(config) for topic, config in actual.items()}


def _retention(config: Mapping[str, str]) -> timedelta | None:
    milliseconds = int(config["retention.ms"])
    # Kafka takes up to 2^63 - 1, which people write for "for ever" too.
    for_ever = milliseconds < 0 or milliseconds > timedelta.max / timedelta(milliseconds=1)
    return None if for_ever else timedelta(milliseconds=milliseconds)


async def _create_missing(
    admin: AIOKafkaAdminClient, table: TopicTable, settings: KafkaSettings
) -> None:
    existing = set(await admin.list_topics())
    missing = [spec for spec in table if spec.name not in existing]
    if not missing:
        return
    answer = await admin.create_topics(
        [
            NewTopic(
                name=spec.name,
                num_partitions=settings.partitions,
                replication_factor=settings.replication_factor,
                topic_configs=spec.config()
                | {"min.insync.replicas": str(settings.in_sync_replicas)},
            )
            for spec in missing
        ]
    )
    for topic, code, message in answer.topic_errors:
        error = for_code(code)
        if not code:
            _log.info("topic created", topic=topic)
        # All three services start together, and each may be the one to create a topic.
        elif error is not TopicAlreadyExistsError:
            if error.retriable:
                raise error(topic)
            raise TopicMismatchError(
                f"Topic {topic} cannot be created: {(message or error.__name__).rstrip('.')}. "
                "Create it by hand, or mend kafka.partitions or kafka.replication_factor."
            )


async def _actual(admin: AIOKafkaAdminClient, table: TopicTable) -> Mapping[str, Mapping[str, str]]:
    while True:
        try:
            return await _describe(admin, table)
        except UnknownTopicOrPartitionError:
            # Created a moment ago, here or by another service: this broker will learn of it.
            await asyncio.sleep(_KNOWN_EVERYWHERE_PAUSE_S)


async def _describe(
    admin: AIOKafkaAdminClient, table: TopicTable
) -> Mapping[str, Mapping[str, str]]:
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in table]
    )
    configs: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, _, _, name, entries in answer.resources:
            if code:
                raise for_code(code)(name)
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
