"""Topic sets: a tenant's records, outcomes and dead letters stay on its own topics."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord, header
from sluice_contracts.signatures import SigningKey, new_secret
from sluice_contracts.status import Phase
from sluice_contracts.status_codec import REFUSED
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_dispatcher.adapters.outcome_publisher import KafkaOutcomePublisher
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.kafka.settings import KafkaSettings
from tests.support.dispatcher import Desk, hello
from tests.support.fake_producer import FakeProducer

pytestmark = pytest.mark.looptime

DOORS = (Door(name="acme", tenants=("acme",)), Door(name="globex", tenants=("globex",)))
SETS = TopicSets(doors=DOORS)
ACME, GLOBEX, DEFAULT = (SETS.of_tenant(each).topics for each in ("acme", "globex", "default"))
ALL = tuple(
    getattr(each.topics, kind) for each in SETS for kind in ("requests", "status", "results", "dlq")
)


class Doors:
    """A dispatcher with two doors, and what it writes to which topic."""

    def __init__(self, kafka: KafkaSettings | None = None) -> None:
        settings = DispatcherSettings(kafka=kafka or KafkaSettings(doors=DOORS))
        self.producer = FakeProducer()
        publisher = KafkaOutcomePublisher(
            self.producer, topics=settings.kafka.topic_sets, timeout=timedelta(seconds=10)
        )
        self.desk = Desk(settings=settings, publisher=publisher)

    async def send(self, document: dict[str, Any], *, topic: str) -> Verdict:
        """Let the dispatcher finish a record."""
        return await self.desk.handler.handle(self.desk.record(document, topic=topic))

    def written(self) -> dict[str, list[IncomingRecord]]:
        """Return what was written, by topic."""
        found = {topic: self.producer.records_for_test(topic) for topic in ALL}
        return {topic: records for topic, records in found.items() if records}


def kinds(records: list[IncomingRecord]) -> list[str | None]:
    return [header(each.headers, "ce_type") for each in records]


async def test_a_run_of_a_door_is_started_without_naming_its_tenant() -> None:
    doors = Doors()
    assert await doors.send(hello("order-1"), topic=ACME.requests) is Verdict.CREATED
    name = workflow_name(RunKey("acme", "order-1"))
    assert doors.desk.workflows.names_for_test() == {name}


async def test_an_outcome_goes_to_the_topics_of_its_tenant() -> None:
    doors = Doors()
    invalid = hello("order-1") | {"parameters": {"name": 1}}
    assert await doors.send(invalid, topic=ACME.requests) is Verdict.REJECTED
    written = doors.written()
    assert set(written) == {ACME.status, ACME.results, ACME.dlq}
    assert kinds(written[ACME.results]) == ["sluice.run.rejected"]
    assert {each.key for each in written[ACME.results]} == {b"acme/order-1"}


async def test_a_record_that_names_no_run_stays_on_its_own_dead_letter_topic() -> None:
    doors = Doors()
    verdict = await doors.desk.handler.handle(doors.desk.record(b"no json", topic=GLOBEX.requests))
    assert verdict is Verdict.REJECTED
    assert set(doors.written()) == {GLOBEX.dlq}


@pytest.mark.parametrize("topic", [ACME.requests, DEFAULT.requests])
@pytest.mark.parametrize("invalid", [False, True])
async def test_a_record_on_a_foreign_topic_touches_no_run(topic: str, *, invalid: bool) -> None:
    doors = Doors()
    await doors.send(hello("order-1", tenant="globex"), topic=GLOBEX.requests)
    before = dict(doors.desk.workflows.object_for_test(workflow_name(RunKey("globex", "order-1"))))
    foreign = hello("order-1", tenant="globex") | ({"unknown": 1} if invalid else {})
    assert await doors.send(foreign, topic=topic) is Verdict.REFUSED
    assert await doors.send(foreign | {"id": "order-2"}, topic=topic) is Verdict.REFUSED
    after = doors.desk.workflows.object_for_test(workflow_name(RunKey("globex", "order-1")))
    assert after == before
    assert len(doors.desk.workflows.names_for_test()) == 1
    assert doors.desk.ledger.outcomes_for_test == {}
    of_topic = SETS.of_topic(topic).topics
    written = doors.written()
    assert set(written) == {of_topic.status, of_topic.dlq}
    assert kinds(written[of_topic.status]) == [REFUSED] * 2
    for letter in written[of_topic.dlq]:
        assert header(letter.headers, "sluice_reason") == ProblemType.FOREIGN_TENANT
    notice = json.loads(written[of_topic.status][0].value or b"")
    assert (notice["tenant"], notice["run_id"]) == ("globex", "order-1")
    assert f"do not belong on {topic}" in notice["problem"]["detail"]


@pytest.mark.parametrize("command", ["stop", "terminate", "suspend", "resume", "retry"])
async def test_a_foreign_command_changes_nothing(command: str) -> None:
    doors = Doors()
    await doors.send(hello("order-1"), topic=GLOBEX.requests)
    patches = doors.desk.workflows.calls_for_test("patch")
    order = {"type": command, "id": "order-1", "tenant": "globex"}
    assert await doors.send(order, topic=ACME.requests) is Verdict.REFUSED
    assert doors.desk.workflows.calls_for_test("patch") == patches
    assert set(doors.written()) == {ACME.status, ACME.dlq}


async def test_the_same_id_is_another_run_at_each_door() -> None:
    doors = Doors()
    for topic in (ACME.requests, GLOBEX.requests, DEFAULT.requests):
        assert await doors.send(hello("order-1"), topic=topic) is Verdict.CREATED
    assert len(doors.desk.workflows.names_for_test()) == 3


async def test_a_tenant_that_moves_loses_no_request() -> None:
    """What was written before stands on the default topic, and ends on the tenant's topics."""
    moving = Door(name="acme", tenants=("acme",), moving=True)
    doors = Doors(KafkaSettings(doors=(moving,)))
    before = hello("order-1", tenant="acme")
    assert await doors.send(before, topic=DEFAULT.requests) is Verdict.CREATED
    assert await doors.send(hello("order-2"), topic=ACME.requests) is Verdict.CREATED
    late = hello("order-3", tenant="acme") | {"expires_at": "2026-01-01T00:00:00Z"}
    assert await doors.send(late, topic=DEFAULT.requests) is Verdict.EXPIRED
    assert set(doors.written()) == {ACME.status, ACME.results}


async def test_an_expired_run_ends_on_its_tenants_topics() -> None:
    doors = Doors()
    late = hello("order-1") | {"expires_at": "2026-01-01T00:00:00Z"}
    assert await doors.send(late, topic=ACME.requests) is Verdict.EXPIRED
    assert kinds(doors.written()[ACME.results]) == [f"sluice.run.{Phase.EXPIRED.lower()}"]


async def test_an_unsigned_claim_on_the_shared_topic_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "keys.yaml"
    key = SigningKey(tenant="initech", secret=SecretStr(new_secret()))
    file.write_text(f"keys: [{{tenant: initech, secret: {key.secret.get_secret_value()}}}]")
    doors = Doors(KafkaSettings(doors=DOORS, signing_keys_file=file))
    claim = hello("order-1", tenant="initech")
    assert await doors.send(claim, topic=DEFAULT.requests) is Verdict.REFUSED
    [letter] = doors.written()[DEFAULT.dlq]
    assert header(letter.headers, "sluice_reason") == ProblemType.UNSIGNED
    assert await doors.send(hello("order-1"), topic=DEFAULT.requests) is Verdict.CREATED
