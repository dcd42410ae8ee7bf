"""The accounts of helm/kafka may do all that the services do, and nothing that they do not.

A whole Sluice runs on a real Kafka that holds each service to the ACLs of its KafkaUser.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus

import pytest
import yaml

from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicMismatchError, ensure_topics
from tests.charts.guarded_kafka import LOUD, Deed, GuardedKafka
from tests.charts.rendering import KAFKA, Helm, Json
from tests.support.client import OUTCOME_SECONDS
from tests.support.engines import Engine
from tests.support.kafka import produce, running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice, Topic

pytestmark = pytest.mark.charts

ACCOUNTS = {name: f"sluice-{name}" for name in ("gateway", "dispatcher", "status-watcher")}
STRANGER = "stranger"
# To read or to write is to describe, too: https://kafka.apache.org/documentation/#operations_in_kafka
IMPLIED = {"DESCRIBE": {"READ", "WRITE"}}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """A Kafka that knows our accounts, and grants them nothing yet."""
    accounts = [*ACCOUNTS.values(), STRANGER]
    broker = GuardedKafka(data_dir=tmp_path_factory.mktemp("guarded"), accounts=accounts)
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("JAVA_TOOL_OPTIONS", LOUD)
            stack.enter_context(running_broker(broker))
        yield broker


@pytest.fixture(scope="module")
def sluice(kafka: GuardedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sluice]:
    """A Sluice each of whose services is its own account. Not started."""
    environment = {service: kafka.environment_of(account) for service, account in ACCOUNTS.items()}
    made = Sluice(
        kafka, tmp_path_factory.mktemp("sluice"), engine=Engine(LOCAL), environment=environment
    )
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def users(helm: Helm, sluice: Sluice, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    """The KafkaUsers for this Sluice's topics and group."""
    values = tmp_path_factory.mktemp("values") / "values.yaml"
    topics: Json = {topic: {"name": name} for topic, name in sluice.topics.model_dump().items()}
    # Its gateway identifies nobody, and so has nothing to write there.
    topics["audit"] = {"enabled": False}
    given = {"topics": topics, "services": {"consumerGroup": sluice.group}}
    values.write_text(yaml.safe_dump(given), encoding="utf-8")
    rendered = helm.rendered(values, KAFKA)
    found = {user["metadata"]["name"]: user for user in rendered.of("KafkaUser")}
    assert sorted(found) == sorted(ACCOUNTS.values())
    return found


async def set_up(kafka: GuardedKafka, sluice: Sluice, users: dict[str, Json]) -> None:
    """Do what Strimzi's operators do of the chart's KafkaTopics and KafkaUsers."""
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=sluice.topics,
        partitions=2,
        replication_factor=1,
    )
    deadline = Deadline("make topics", timedelta(seconds=30))
    await ensure_topics(settings, client_id="operator", deadline=deadline)
    for user in users.values():
        await kafka.grant(user)


async def use(sluice: Sluice) -> None:
    """Have it do all that it writes of: an outcome, and a request that can never be valid."""
    unknown = b'{"id": "unknown", "workflow": "nope"}'
    await produce(sluice.kafka, sluice.topics.requests, unknown, key=b"garbage")
    async with sluice.client() as client:
        await client.accepted({"id": "goes-on", "workflow": "patient"})
        outcome = await client.outcome({"id": "run", "workflow": "moment"})
        assert outcome["phase"] == "Succeeded"
    async with Topic(sluice.kafka, sluice.topics.dlq) as dead:
        async for letter in dead.of(b"garbage"):
            assert letter.value == unknown
            break
    await drop_letters(sluice)
    async with Topic(sluice.kafka, sluice.topics.status) as status:
        async for record in status.records():
            if json.loads(record.value)["phase"] == "Rejected":
                break


async def drop_letters(sluice: Sluice) -> None:
    """Have the gateway read a dead letter, and write what was done with it."""
    async with sluice.client() as client, asyncio.timeout(OUTCOME_SECONDS):
        letters: list[Json] = []
        while not letters:
            async with client.http.get("/v1/dead-letters") as response:
                letters = (await response.json()).get("dead_letters", [])
        for each in letters:
            path = each["links"]["self"]
            async with client.http.get(path) as response:
                assert response.status == HTTPStatus.OK, await response.text()
            async with client.http.post(f"{path}/drop") as response:
                assert response.status == HTTPStatus.ACCEPTED, await response.text()


async def use_once_more(sluice: Sluice) -> None:
    async with sluice.client() as client:
        outcome = await client.outcome({"id": "another", "workflow": "moment"})
        assert outcome["phase"] == "Succeeded"


def granted(users: dict[str, Json]) -> set[Deed]:
    return {
        Deed(name, operation.upper().replace("CONFIGS", "_CONFIGS"), *kind_and_name(acl))
        for name, user in users.items()
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


def kind_and_name(acl: Json) -> tuple[str, str]:
    return acl["resource"]["type"], acl["resource"]["name"]


async def come_as_a_stranger(kafka: GuardedKafka) -> None:
    """Be denied; all decisions about the accounts before it are noted then."""
    environment = kafka.environment_of(STRANGER)
    settings = KafkaSettings.model_validate(
        {name.removeprefix("SLUICE_KAFKA__").lower(): value for name, value in environment.items()}
        | {"replication_factor": 1}
    )
    deadline = Deadline("make topics", timedelta(seconds=30))
    refused = pytest.raises(TopicMismatchError, match=r"Topic sluice\.\w+ cannot be created")
    with kafka.denying(STRANGER), refused:
        await ensure_topics(settings, client_id="stranger", deadline=deadline)


def test_each_account_may_do_what_its_service_does_and_no_more(
    kafka: GuardedKafka, sluice: Sluice, users: dict[str, Json]
) -> None:
    asyncio.run(set_up(kafka, sluice, users))
    sluice.start()
    asyncio.run(use(sluice))
    # After a restart it reads what it has published of Workflows that go on.
    sluice.stop("status-watcher")
    sluice.start("status-watcher")
    asyncio.run(use_once_more(sluice))
    sluice.stop()
    asyncio.run(come_as_a_stranger(kafka))
    assert {deed for deed in kafka.denied if deed.account in users} == set()
    done = {deed for deed in kafka.allowed if deed.account in users}
    idle = {
        deed
        for deed in granted(users) - done
        if not {deed._replace(operation=more) for more in IMPLIED.get(deed.operation, set())} & done
    }
    assert idle == set()


async def test_an_account_without_grants_is_denied(kafka: GuardedKafka) -> None:
    """Otherwise the test above would prove nothing."""
    await come_as_a_stranger(kafka)
    assert STRANGER in {deed.account for deed in kafka.denied}
