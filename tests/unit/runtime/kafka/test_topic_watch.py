"""Topics are verified while a service runs, and mismatches are named."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from sluice_contracts.topic_sets import Door
from sluice_contracts.topics import TopicNames, topic_table
from sluice_runtime.kafka import topics
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicWatch
from tests.unit.runtime.clock import pause
from tests.unit.runtime.log_capture import captured

pytestmark = pytest.mark.looptime

NAMES = TopicNames()
BROKEN = (
    "sluice.requests: min.insync.replicas is 1, must be at least 2: an acknowledged record could "
    "be lost with one broker."
)


class FakeAdmin:
    """A fake of aiokafka's admin client: returns the settings of topics, unless it is down."""

    def __init__(self) -> None:
        defaults = {"min.insync.replicas": "2", "compression.type": "producer"}
        self.configs = {spec.name: defaults | spec.config() for spec in topic_table(NAMES)}
        self.away = False
        self.open = 0
        self.looked = 0

    async def start(self) -> None:
        self.open += 1
        if self.away:
            raise KafkaConnectionError

    async def close(self) -> None:
        self.open -= 1

    async def describe_configs(self, resources: list[ConfigResource]) -> list[Any]:
        self.looked += 1
        found = [(0, "", 2, each.name, [*self.configs[each.name].items()]) for each in resources]
        return [SimpleNamespace(resources=found)]


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    admin = FakeAdmin()
    monkeypatch.setattr(topics, "AIOKafkaAdminClient", lambda **_: admin)
    return admin


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@contextlib.asynccontextmanager
async def watching(
    admin: FakeAdmin, registry: CollectorRegistry, *, doors: tuple[Door, ...] = ()
) -> AsyncIterator[TopicWatch]:
    settings = KafkaSettings(doors=doors)
    watch = TopicWatch(settings, client_id="test", registry=registry, every=timedelta(minutes=2))
    task = asyncio.create_task(watch.run())
    yield watch
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert admin.open == 0


async def test_valid_topics_are_not_logged(admin: FakeAdmin, registry: CollectorRegistry) -> None:
    async with watching(admin, registry) as watch:
        with captured(topics) as logged:
            await pause(3600)
        assert logged == []
        assert watch.broken() is None
        assert registry.get_sample_value("sluice_topic_mismatches") == 0
        assert admin.looked == 29


async def test_a_later_mismatch_is_named_until_it_is_corrected(
    admin: FakeAdmin, registry: CollectorRegistry
) -> None:
    async with watching(admin, registry) as watch:
        admin.configs[NAMES.requests]["min.insync.replicas"] = "1"
        with captured(topics) as logged:
            await pause(601)
            assert watch.broken() == watch.broken(NAMES.requests) == BROKEN
            assert watch.broken(NAMES.results) is None
            assert registry.get_sample_value("sluice_topic_mismatches") == 1
            # Said once, not every two minutes.
            assert [(each["level"], each["mismatch"]) for each in logged] == [("error", BROKEN)]
            admin.configs[NAMES.results]["unclean.leader.election.enable"] = "true"
            await pause(121)
            assert registry.get_sample_value("sluice_topic_mismatches") == 2
            assert "sluice.results: unclean.leader.election.enable" in (watch.broken() or "")
            admin.configs[NAMES.requests]["min.insync.replicas"] = "2"
            admin.configs[NAMES.results]["unclean.leader.election.enable"] = "false"
            await pause(121)
        assert watch.broken() is None
        assert registry.get_sample_value("sluice_topic_mismatches") == 0
        assert [each["level"] for each in logged] == ["error", "error", "info"]


async def test_the_last_result_stays_while_kafka_is_unavailable(
    admin: FakeAdmin, registry: CollectorRegistry
) -> None:
    async with watching(admin, registry) as watch:
        admin.configs[NAMES.requests]["min.insync.replicas"] = "1"
        await pause(121)
        admin.away = True
        with captured(topics) as logged:
            await pause(121)
        assert watch.broken() == BROKEN
        assert [each["event"] for each in logged] == ["topics not verified"]
        admin.away = False
        admin.configs[NAMES.requests]["min.insync.replicas"] = "3"
        await pause(121)
        assert watch.broken() is None


async def test_the_topics_of_a_door_are_verified_by_the_same_rules(
    admin: FakeAdmin, registry: CollectorRegistry
) -> None:
    doors = (Door(name="acme", tenants=("acme",)),)
    defaults = {"min.insync.replicas": "2", "compression.type": "producer"}
    names = KafkaSettings(doors=doors).topic_sets.of_tenant("acme").topics
    admin.configs |= {spec.name: defaults | spec.config() for spec in topic_table(names)}
    async with watching(admin, registry, doors=doors) as watch:
        await pause(121)
        assert watch.broken() is None
        admin.configs[names.results]["retention.ms"] = "1"
        await pause(121)
        assert "sluice.results.acme: retention.ms is 1" in (watch.broken(names.results) or "")
        assert watch.broken(NAMES.results) is None
