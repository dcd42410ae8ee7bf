"""A tenant with a door can neither read nor write nor slow anything of another's.

The steps of docs/kafka.md give two tenants topics and accounts. A whole Sluice and the tenants' own
clients run on a real Kafka with SCRAM. It holds each account to the ACLs and quotas of helm/kafka.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)

from sluice_contracts.audit import AUDIT_TOPIC
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.topic_sets import Door
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import partitions_of
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import ensure_topics
from tests.charts.guarded_kafka import PASSWORD, SCRAM, GuardedKafka
from tests.charts.rendering import CHART, KAFKA, Helm, Json
from tests.support.engines import Engine
from tests.support.kafka import read_all, running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice, Topic
from tests.unit.docs.pages import ROOT, section

pytestmark = [pytest.mark.charts, pytest.mark.timeout(300)]

SERVICES = ("gateway", "dispatcher", "status-watcher")
PAGE = ROOT / "docs/kafka.md"
# Of a test: what the tenant may write in a second, and what it tries to write.
QUOTA, FLOOD, RECORD = 20_000, 400, 10_000


def shown(language: str) -> list[str]:
    """Return the code of the steps, in their order."""
    text = section(PAGE, "Topics of a tenant's own").partition("### Add a tenant")[2]
    steps = text.partition("### ")[0]
    return [
        re.sub(r"^   ", "", code, flags=re.MULTILINE)
        for code in re.findall(
            rf"^   ```{language}\n(.*?)^   ```$", steps, re.MULTILINE | re.DOTALL
        )
    ]


def for_both(values: Json) -> Json:
    """Return the values with the same for a second tenant, and a quota that a test can reach."""
    text = yaml.safe_dump(values)
    doubled: Json = yaml.safe_load(text.replace("65536", str(QUOTA)))
    again: Json = yaml.safe_load(text.replace("acme", "globex"))
    for name in ("doors", "clients"):
        if name in doubled:
            doubled[name] += again[name]
    return doubled


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """A Kafka that knows nobody yet."""
    with running_broker(GuardedKafka(data_dir=tmp_path_factory.mktemp("guarded"))) as broker:
        yield broker


@pytest.fixture(scope="module")
def doors() -> list[Json]:
    """The doors, as the page gives them to both charts."""
    of_kafka, of_sluice = (yaml.safe_load(text) for text in shown("yaml"))
    assert of_kafka["doors"] == of_sluice["kafka"]["doors"]
    found: list[Json] = for_both(of_kafka)["doors"]
    return found


@pytest.fixture(scope="module")
def sluice(
    kafka: GuardedKafka,
    helm: Helm,
    doors: list[Json],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sluice]:
    """A Sluice whose services and tenants have the accounts of the charts, and the doors."""
    folder = tmp_path_factory.mktemp("sluice")
    made = Sluice(
        kafka, folder, engine=Engine(LOCAL), environment=_environments(kafka, doors, helm)
    )
    topics: Json = {topic: {"name": name} for topic, name in made.topics.model_dump().items()}
    # This gateway identifies nobody, and so has nothing to write there.
    topics["audit"] = {"enabled": False}
    values = for_both(yaml.safe_load(shown("yaml")[0]))
    values |= {"topics": topics, "services": {"consumerGroup": made.group}}
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    rendered = helm.rendered(file, KAFKA)
    names = {each["metadata"]["name"] for each in rendered.of("KafkaTopic")}
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=made.topics,
        doors=tuple(map(Door.model_validate, doors)),
        partitions=2,
        replication_factor=1,
    )
    sets = settings.topic_sets
    of_sets = {name for each in sets for name in each.topics.model_dump().values()}
    assert names - {AUDIT_TOPIC} == of_sets
    asyncio.run(set_up(kafka, settings, rendered.of("KafkaUser")))
    try:
        made.start()
        yield made
    finally:
        made.stop()


async def set_up(kafka: GuardedKafka, settings: KafkaSettings, users: list[Json]) -> None:
    """Do what Strimzi's operators do of the chart's KafkaTopics and KafkaUsers."""
    deadline = Deadline("make topics", timedelta(seconds=30))
    await ensure_topics(settings, client_id="operator", deadline=deadline)
    for user in users:
        await asyncio.to_thread(kafka.create, user)
        await kafka.grant(user)


def _environments(
    kafka: GuardedKafka, doors: list[Json], helm: Helm
) -> dict[str, Mapping[str, str]]:
    """Return the variables of each service: its account, and the doors by helm/sluice."""
    file = kafka.log_dir.parent / "sluice-values.yaml"
    file.write_text(yaml.safe_dump({"kafka": {"doors": doors}}), encoding="utf-8")
    rendered = helm.rendered(file, CHART)
    found: dict[str, Mapping[str, str]] = {}
    for service in SERVICES:
        env = {each["name"]: each.get("value") for each in rendered.container(service)["env"]}
        found[service] = dict(kafka.environment_of(f"sluice-{service}")) | {
            "SLUICE_KAFKA__SASL_MECHANISM": SCRAM,
            "SLUICE_KAFKA__DOORS": env["SLUICE_KAFKA__DOORS"],
        }
    return found


class Tenant:
    """What a tenant does with its own account."""

    def __init__(self, sluice: Sluice, name: str) -> None:
        kafka = sluice.kafka
        assert isinstance(kafka, GuardedKafka)
        self.name = name
        self.account = f"sluice-{name}"
        self._login: dict[str, Any] = {
            "bootstrap_servers": kafka.outer_servers,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": SCRAM,
            "sasl_plain_username": self.account,
            "sasl_plain_password": PASSWORD,
        }
        default = sluice.topics
        self.requests, self.status, self.results, self.dlq = (
            f"{topic}.{name}"
            for topic in (default.requests, default.status, default.results, default.dlq)
        )

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """Give a producer."""
        producer = AIOKafkaProducer(**self._login, acks="all", max_batch_size=RECORD)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def send(self, document: Mapping[str, Any], *, to: str) -> None:
        """Write a record."""
        async with self.producer() as producer:
            await producer.send_and_wait(to, json.dumps(document).encode())

    async def read(self, topic: str, *, group: str | None = None) -> bytes | None:
        """Read the first record of a topic, in a group if one is given."""
        consumer = AIOKafkaConsumer(**self._login, group_id=group, auto_offset_reset="earliest")
        await consumer.start()
        try:
            if group is None:
                consumer.assign(list(await partitions_of(consumer, [topic])))
            else:
                consumer.subscribe([topic])
            async with asyncio.timeout(60):
                value: bytes | None = (await consumer.getone()).value
            return value
        finally:
            await consumer.stop()

    async def make(self, topic: str) -> None:
        """Create a topic."""
        admin = AIOKafkaAdminClient(**self._login)
        await admin.start()
        try:
            answer = await admin.create_topics([NewTopic(topic, 1, 1)])
            [(_, code, _)] = answer.topic_errors
            if code:
                raise for_code(code)(topic)
        finally:
            await admin.close()


@pytest.fixture
def acme(sluice: Sluice) -> Tenant:
    return Tenant(sluice, "acme")


@pytest.fixture
def globex(sluice: Sluice) -> Tenant:
    return Tenant(sluice, "globex")


async def outcome_of(sluice: Sluice, tenant: Tenant, run_id: str) -> Json:
    async with Topic(sluice.kafka, tenant.results) as results:
        async for record in results.of(f"{tenant.name}/{run_id}".encode()):
            found: Json = json.loads(record.value)
            return found
    raise AssertionError


async def test_a_tenant_uses_its_own_topics(sluice: Sluice, acme: Tenant) -> None:
    [request] = shown("json")
    document = json.loads(request) | {"workflow": "moment", "parameters": {}}
    await acme.send(document, to=acme.requests)
    outcome = await outcome_of(sluice, acme, "order-1")
    assert (outcome["tenant"], outcome["phase"]) == ("acme", "Succeeded")
    for topic in (acme.status, acme.results):
        assert await acme.read(topic, group=f"{acme.account}-billing")
    async with sluice.client() as client:
        url = "/v1/runs/order-1?tenant=acme"
        async with client.http.get(url) as response:
            assert (await response.json())["phase"] == "Succeeded"
    keys = {record.key for record in await read_all(sluice.kafka, sluice.topics.status)}
    assert not any(key.startswith(b"acme/") for key in keys if key)


async def test_over_http_as_well(sluice: Sluice, acme: Tenant) -> None:
    async with sluice.client() as client:
        await client.accepted({"id": "by-http", "workflow": "moment", "tenant": "acme"})
    assert (await outcome_of(sluice, acme, "by-http"))["phase"] == "Succeeded"
    written = await read_all(sluice.kafka, acme.requests)
    assert b"acme/by-http" in {record.key for record in written}


async def test_a_tenant_can_neither_read_nor_write_what_is_another_s(
    sluice: Sluice, acme: Tenant, globex: Tenant
) -> None:
    await globex.send({"id": "secret", "workflow": "moment"}, to=globex.requests)
    await outcome_of(sluice, globex, "secret")
    foreign = [
        *(globex.requests, globex.status, globex.results, globex.dlq),
        *sluice.topics.model_dump().values(),
    ]
    for topic in foreign:
        with pytest.raises(TopicAuthorizationFailedError):
            await acme.send({"workflow": "moment"}, to=topic)
        with pytest.raises(TopicAuthorizationFailedError):
            await acme.read(topic)
    # Of its own topics it writes no more than requests, and reads no more than what became of them.
    for topic in (acme.status, acme.results, acme.dlq):
        with pytest.raises(TopicAuthorizationFailedError):
            await acme.send({"workflow": "moment"}, to=topic)
    for topic in (acme.requests, acme.dlq):
        with pytest.raises(TopicAuthorizationFailedError):
            await acme.read(topic)
    for group in (f"{globex.account}-billing", globex.account, sluice.group, "other"):
        with pytest.raises(GroupAuthorizationFailedError):
            await acme.read(acme.status, group=group)
    with pytest.raises(KafkaError, match="AuthorizationFailed"):
        await acme.make("acme.anything")


async def test_a_tenant_cannot_act_on_another_s_run_by_its_own_topic(
    sluice: Sluice, acme: Tenant, globex: Tenant
) -> None:
    await globex.send({"id": "patient", "workflow": "patient"}, to=globex.requests)
    name = workflow_name(RunKey("globex", "patient"))
    async with Topic(sluice.kafka, globex.status) as states:
        async for record in states.of(b"globex/patient"):
            if json.loads(record.value)["phase"] == "Running":
                break
    order = {"type": "terminate", "id": "patient", "tenant": "globex"}
    again = {"id": "patient", "workflow": "moment", "tenant": "globex"}
    await acme.send(order, to=acme.requests)
    await acme.send(again, to=acme.requests)
    async with Topic(sluice.kafka, acme.dlq) as dead:
        letters = [record async for record in _some(dead, 2)]
    reasons = {dict(record.headers)["sluice_reason"] for record in letters}
    assert reasons == {b"urn:sluice:problem:foreign-tenant"}
    async with sluice.workflows() as workflows:
        spec = (await workflows.get(name))["spec"]
    assert "shutdown" not in spec
    for record in await read_all(sluice.kafka, globex.status):
        assert json.loads(record.value)["tenant"] == "globex"
        assert dict(record.headers)["ce_type"] != b"sluice.request.refused"


async def test_a_tenant_s_quota_slows_nobody_else(
    sluice: Sluice, acme: Tenant, globex: Tenant
) -> None:
    async def flood() -> None:
        async with acme.producer() as producer:
            filler = "x" * RECORD
            for number in range(FLOOD):
                document = {"id": f"flood-{number}", "workflow": "nope", "labels": {"a": filler}}
                await producer.send_and_wait(acme.requests, json.dumps(document).encode())

    # It takes minutes at this quota.
    flooding = asyncio.create_task(flood())
    try:
        for number in range(3):
            run_id = f"beside-{number}"
            await globex.send({"id": run_id, "workflow": "moment"}, to=globex.requests)
            assert (await outcome_of(sluice, globex, run_id))["phase"] == "Succeeded"
        assert not flooding.done()
    finally:
        flooding.cancel()
        await asyncio.wait({flooding})


async def _some(topic: Topic, number: int) -> AsyncIterator[Any]:
    async for record in topic.records():
        yield record
        number -= 1
        if not number:
            return
