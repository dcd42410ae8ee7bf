"""Creates missing topics, and verifies all of them at the start and periodically."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
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
from prometheus_client import CollectorRegistry, Gauge

from sluice_contracts.topics import (
    Mismatch,
    TopicSpec,
    TopicTable,
    mismatches,
    mismatches_of,
    topic_table,
)
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import CredentialsError, KafkaUnavailableError
from sluice_runtime.kafka.settings import KafkaSettings, connection

__all__ = ["TopicMismatchError", "TopicWatch", "ensure_topic", "ensure_topics"]

_KNOWN_EVERYWHERE_PAUSE_S = 0.1

_log = structlog.get_logger(__name__)


class TopicMismatchError(Exception):
    """The cluster's topics break promises of Sluice."""


async def ensure_topics(
    settings: KafkaSettings, *, client_id: str, deadline: Deadline, more: Sequence[TopicSpec] = ()
) -> None:
    """Create missing topics of all sets, and verify each set against the topic table.

    `more` are topics that only this service needs.

    Raises:
        TopicMismatchError: a topic has wrong settings or cannot be created. The error names each
            topic and setting.
        KafkaUnavailableError: no broker answered in time.
        CredentialsError: a certificate, key or token file is unusable.
    """
    async with _admin(settings, client_id=client_id, deadline=deadline) as admin:
        wanted = [spec for table in _tables(settings) for spec in table]
        await _create_missing(admin, settings, [*wanted, *more])
        found = await _mismatches(admin, settings, more)
    if found:
        raise TopicMismatchError(
            "\n".join(
                [
                    "These topics do not have the settings that Sluice needs:",
                    *(f"  {mismatch}" for mismatch in found),
                    "Change them with kafka-configs.sh --alter, or name others in kafka.topics.",
                ]
            )
        )


async def ensure_topic(
    settings: KafkaSettings, spec: TopicSpec, *, client_id: str, deadline: Deadline
) -> None:
    """Create a topic beside those of the sets, if it is missing. Its settings are not verified.

    Raises:
        TopicMismatchError: it cannot be created.
        KafkaUnavailableError: no broker answered in time.
        CredentialsError: a certificate, key or token file is unusable.
    """
    async with _admin(settings, client_id=client_id, deadline=deadline) as admin:
        await _create_missing(admin, settings, [spec])


class TopicWatch:
    """Verifies the topics periodically, because they can change while a service runs.

    `more` are topics that only this service needs.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        client_id: str,
        registry: CollectorRegistry,
        every: timedelta = timedelta(minutes=2),
        more: Sequence[TopicSpec] = (),
    ) -> None:
        self._settings = settings
        self._more = more
        self._client_id = client_id
        self._every = every.total_seconds()
        self._found: Sequence[Mismatch] = ()
        Gauge(
            "sluice_topic_mismatches",
            "Settings of topics that break a promise; the log names them.",
            registry=registry,
        ).set_function(lambda: len(self._found))

    def broken(self, topic: str | None = None) -> str | None:
        """Return the settings, of one topic or of all, that break a promise; None if none does.

        The result is that of the last successful check.
        """
        found = [str(each) for each in self._found if topic in (None, each.topic)]
        return " ".join(found) or None

    async def run(self) -> None:
        """Verify periodically until cancelled; a failed check leaves the last result."""
        while True:
            await asyncio.sleep(self._every)
            try:
                self._note(await self._verify())
            except (KafkaUnavailableError, CredentialsError) as e:
                _log.warning("topics not verified", error=str(e))

    async def _verify(self) -> Sequence[Mismatch]:
        settings = self._settings
        deadline = Deadline("verify topics", settings.request_timeout)
        async with _admin(settings, client_id=self._client_id, deadline=deadline) as admin:
            return await _mismatches(admin, settings, self._more)

    def _note(self, found: Sequence[Mismatch]) -> None:
        for mismatch in found:
            if mismatch not in self._found:
                _log.error(
                    "topic setting changed and breaks a promise; change it back with "
                    "kafka-configs.sh --alter",
                    mismatch=str(mismatch),
                )
        if self._found and not found:
            _log.info("topics are valid again")
        self._found = found


@asynccontextmanager
async def _admin(
    settings: KafkaSettings, *, client_id: str, deadline: Deadline
) -> AsyncIterator[AIOKafkaAdminClient]:
    # Outside the try block: wrong credentials must not count as an unavailable Kafka.
    arguments = connection(settings, client_id=client_id)
    try:
        async with deadline.enforce():
            admin = AIOKafkaAdminClient(**arguments)
            try:
                await admin.start()
                yield admin
            finally:
                await admin.close()
    except (KafkaError, OSError) as e:
        raise KafkaUnavailableError(f"Topics could not be verified: {type(e).__name__}.") from e


def _tables(settings: KafkaSettings) -> list[TopicTable]:
    return [topic_table(each.topics) for each in settings.topic_sets]


async def _mismatches(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, more: Sequence[TopicSpec]
) -> Sequence[Mismatch]:
    tables, in_sync = _tables(settings), settings.in_sync_replicas
    actual = await _actual(admin, [*(spec for table in tables for spec in table), *more])
    return [
        *(
            mismatch
            for table in tables
            for mismatch in mismatches(table, actual, in_sync_replicas=in_sync)
        ),
        *(
            mismatch
            for spec in more
            for mismatch in mismatches_of(spec, actual[spec.name], in_sync_replicas=in_sync)
        ),
    ]


async def _create_missing(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, specs: Sequence[TopicSpec]
) -> None:
    existing = set(await admin.list_topics())
    missing = [spec for spec in specs if spec.name not in existing]
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
        # All three services start together, and each may create a topic first.
        elif error is not TopicAlreadyExistsError:
            if error.retriable:
                raise error(topic)
            raise TopicMismatchError(
                f"Topic {topic} cannot be created: {(message or error.__name__).rstrip('.')}. "
                "Create it by hand, or correct kafka.partitions or kafka.replication_factor."
            )


async def _actual(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]
) -> Mapping[str, Mapping[str, str]]:
    while True:
        try:
            return await _describe(admin, specs)
        except UnknownTopicOrPartitionError:
            # The topic was created a moment ago; this broker does not know it yet.
            await asyncio.sleep(_KNOWN_EVERYWHERE_PAUSE_S)


async def _describe(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]
) -> Mapping[str, Mapping[str, str]]:
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    )
    configs: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, _, _, name, entries in answer.resources:
            if code:
                raise for_code(code)(name)
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
