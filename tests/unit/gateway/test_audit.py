"""What the audit says of a request, and what it never says."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.audit import AuditRecord, Verdict
from sluice_gateway.adapters import audit_topic
from sluice_gateway.adapters.audit_topic import AuditTopic, opened_audit
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.domain.identity import Principal, PrincipalKind, Scope
from sluice_gateway.handlers.operations import NDJSON, Operation
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.audit import Audit
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicMismatchError
from tests.support.fake_producer import FakeProducer
from tests.unit.gateway.harness import (
    GREET,
    NOW,
    TRACE,
    TRACEPARENT,
    Gateway,
    published,
    running_gateway,
)
from tests.unit.gateway.identities import as_, grant, granting_gateway
from tests.unit.gateway.test_operations import address, each_operation
from tests.unit.runtime.clock import pause

SECRET = "s3cret"
RUN = {"id": "order-1", "workflow": "greet", "parameters": {"name": SECRET}}


class Records(list[AuditRecord]):
    """A sink that keeps what it is given."""

    def put(self, record: AuditRecord) -> None:
        """See `AuditSink.put`."""
        self.append(record)

    def last(self) -> dict[str, Any]:
        """Return the last record without its time, and without what it does not say."""
        record = self[-1].model_dump(mode="json", exclude_defaults=True)
        assert record.pop("time") == NOW.isoformat().replace("+00:00", "Z")
        record.pop("trace_id")
        return record


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
async def gateway(tmp_path: Path, records: Records) -> AsyncIterator[Gateway]:
    async with granting_gateway(
        tmp_path,
        grant("ci", Scope.START, Scope.READ, Scope.COMMAND, workflows=("greet",)),
        grant("reader", Scope.READ),
        grant("stranger", Scope.READ, Scope.COMMAND, tenants=("acme",)),
        grant("counter", Scope.READ, workflows=("count",)),
        audit=records,
    ) as running:
        yield running


async def start(gateway: Gateway, name: str = "ci", **changes: Any) -> int:
    response = await gateway.client.post(
        "/v1/runs", json={**RUN, **changes}, headers={**as_(name), "traceparent": TRACEPARENT}
    )
    return response.status


ABOUT = {"tenant": "default", "run_id": "order-1"}


async def test_a_start(gateway: Gateway, records: Records) -> None:
    assert await start(gateway) == 202
    said = {"principal": "api_key:ci", "operation": "startRun", **ABOUT, "workflow": "greet"}
    assert records.last() == {**said, "verdict": "accepted"}
    assert records[-1].trace_id == TRACE
    assert await start(gateway) == 200
    assert records.last() == {**said, "verdict": "replayed"}
    assert await start(gateway, parameters={"name": "Bob"}) == 409
    refused = {"verdict": "refused", "problem": "urn:sluice:problem:id-conflict"}
    assert records.last() == {**said, **refused}


async def test_a_start_that_is_not_granted(gateway: Gateway, records: Records) -> None:
    assert await start(gateway, workflow="count") == 403
    assert records.last() == {
        "principal": "api_key:ci",
        "operation": "startRun",
        **ABOUT,
        "workflow": "count",
        "verdict": "refused",
        "problem": "urn:sluice:problem:forbidden",
    }


async def test_a_start_whose_outcome_is_unknown(gateway: Gateway, records: Records) -> None:
    gateway.producer.fail_next_for_test(written=True)
    assert await start(gateway) == 503
    assert records.last()["verdict"] == "unknown"


async def test_each_item_of_a_batch(gateway: Gateway, records: Records) -> None:
    items = [RUN, {**RUN, "id": "order-2", "workflow": "count"}, {"id": "order-3"}]
    await gateway.client.post(
        "/v1/runs:batch",
        data="\n".join(map(json.dumps, items)),
        headers={**as_("ci"), "Content-Type": NDJSON},
    )
    assert [(each.run_id, each.workflow, each.verdict) for each in records] == [
        ("order-1", "greet", Verdict.ACCEPTED),
        ("order-2", "count", Verdict.REFUSED),
        (None, None, Verdict.REFUSED),
    ]


async def test_a_command_and_a_rerun(gateway: Gateway, records: Records) -> None:
    await start(gateway)
    headers = as_("ci")
    await gateway.client.post("/v1/runs/order-1/stop", headers=headers, json={"reason": SECRET})
    said = {"principal": "api_key:ci", "verdict": "accepted"}
    assert records.last() == {**said, **ABOUT, "operation": "stopRun"}
    await gateway.client.post("/v1/runs/order-1/rerun", headers=headers, json={"id": "order-2"})
    again = {**ABOUT, "run_id": "order-2", "workflow": "greet"}
    assert records.last() == {**said, **again, "operation": "rerunRun"}


async def test_each_run_of_a_command_to_many(gateway: Gateway, records: Records) -> None:
    for number in range(3):
        await start(gateway, id=f"order-{number}")
    del records[:]
    await gateway.client.post("/v1/runs:stop?expect=3", headers=as_("ci"))
    assert {each.run_id for each in records} == {"order-0", "order-1", "order-2"}
    assert {(each.operation, each.verdict) for each in records} == {("stopRuns", Verdict.ACCEPTED)}
    await gateway.client.post("/v1/runs:stop?expect=7", headers=as_("ci"))
    assert records.last()["problem"] == "urn:sluice:problem:count-changed"


@pytest.mark.parametrize("path", ["", "/outcome", "/events", "/stop"])
async def test_a_hidden_run_is_named_in_the_audit_alone(
    gateway: Gateway, records: Records, path: str
) -> None:
    await start(gateway)
    method = "POST" if path == "/stop" else "GET"
    for name, hidden in (("counter", True), ("stranger", False)):
        if method == "POST" and name == "counter":
            continue
        del records[:]
        response = await gateway.client.request(
            method, f"/v1/runs/order-1{path}", headers=as_(name)
        )
        assert response.status == 404
        # Nothing is looked up in a tenant in which the principal has no part.
        assert [each.hidden for each in records] == [hidden] * (hidden or method == "POST")


async def test_what_only_reads_is_not_noted(gateway: Gateway, records: Records) -> None:
    await start(gateway)
    del records[:]
    for path in ("/v1/runs", "/v1/runs/order-1", "/v1/runs/order-9", "/v1/workflows", "/"):
        await gateway.client.get(path, headers=as_("reader"))
    await gateway.client.get("/v1/runs?verbose=1", headers=as_("reader"))
    assert not records


@each_operation()
async def test_every_refusal_is_noted(
    gateway: Gateway, records: Records, operation: Operation
) -> None:
    if not operation.scopes:
        return
    path = address(operation.path)
    await gateway.client.request(operation.method, path)
    refused = {"operation": operation.id, "verdict": "refused", "principal": None}
    assert records.last() == {**refused, "problem": "urn:sluice:problem:unauthenticated"}
    await gateway.client.request(operation.method, path, headers=as_("nobody"))
    refused["principal"] = "api_key:nobody"
    assert records.last() == {**refused, "problem": "urn:sluice:problem:forbidden"}


async def test_no_value_and_no_credentials_are_noted(
    gateway: Gateway, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    await start(gateway)
    await gateway.publish(published(1, outputs={"z": SECRET}, message=SECRET))
    await start(gateway, parameters={SECRET: SECRET})
    for path in ("/stop", "/retry", "/rerun"):
        await gateway.client.post(
            f"/v1/runs/order-1{path}", headers=as_("ci"), json={"reason": SECRET}
        )
    await gateway.client.get("/v1/runs", headers={"Authorization": f"Bearer {SECRET}"})
    written = "".join(each.model_dump_json() for each in records)
    logs = "".join(capsys.readouterr())
    assert "audit" in logs
    # Of a fake token the text is the name of its principal.
    for text in (written, logs):
        assert text.replace(f"api_key:{SECRET}", "").count(SECRET) == 0


async def test_nothing_is_noted_where_nobody_is_identified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.post(GREET)
    assert "audit" not in capsys.readouterr().out


def test_of_requests_by_nobody_known_only_some_are_noted() -> None:
    records, clock = Records(), [0.0]
    audit = Audit(records, now=lambda: NOW, clock=lambda: clock[0])
    ci = Principal(kind=PrincipalKind.API_KEY, id="ci")
    for _ in range(1000):
        audit.note(None, "listRuns", Verdict.REFUSED)
    assert len(records) == 100
    clock[0] = 1.0
    for _ in range(1000):
        audit.note(None, "listRuns", Verdict.REFUSED)
        audit.note(ci, "startRun", Verdict.ACCEPTED)
    # Ten more a second, and every one of those who are known.
    assert len(records) == 100 + 10 + 1000


def record(number: int = 0) -> AuditRecord:
    return AuditRecord(
        time=NOW,
        principal="api_key:ci",
        operation="startRun",
        tenant="acme",
        run_id=f"order-{number}",
        verdict=Verdict.ACCEPTED,
    )


class TestAuditTopic:
    async def test_records_are_written_under_the_key_of_their_run(self) -> None:
        producer, lost = FakeProducer(), list[int]()
        topic = AuditTopic(producer, topic="audit", lost=lost.append)
        async with topic.running(drained_within=timedelta(seconds=10)):
            for number in range(1200):
                topic.put(record(number))
        written = producer.records_for_test("audit")
        assert (len(written), lost) == (1200, [])
        assert {each.key for each in written} == {f"acme/order-{n}".encode() for n in range(1200)}
        [first] = [each for each in written if each.key == b"acme/order-0"]
        assert AuditRecord.model_validate_json(first.value or b"") == record()
        assert dict(first.headers)["ce_type"] == b"sluice.audit"

    async def test_what_kafka_does_not_take_is_counted_and_the_next_is_written(self) -> None:
        producer, lost = FakeProducer(), list[int]()
        topic = AuditTopic(producer, topic="audit", lost=lost.append)
        async with topic.running(drained_within=timedelta(seconds=10)):
            producer.fail_next_for_test(written=False)
            topic.put(record(1))
            topic.put(record(2))
        assert sum(lost) == 1
        assert [each.key for each in producer.records_for_test("audit")] == [b"acme/order-2"]

    @pytest.mark.looptime
    async def test_a_record_waits_for_others_for_a_little(self) -> None:
        producer, lost = FakeProducer(), list[int]()
        linger = timedelta(seconds=3)
        topic = AuditTopic(producer, topic="audit", lost=lost.append, linger=linger)
        async with topic.running(drained_within=timedelta(seconds=10)):
            for number in range(3):
                topic.put(record(number))
                await pause(0.9)
            assert not producer.records_for_test("audit")
            await pause(0.4)
            assert len(producer.records_for_test("audit")) == 3
            topic.put(record(3))
        assert (len(producer.records_for_test("audit")), lost) == (4, [])

    async def test_a_topic_that_does_not_answer_holds_up_nothing(self) -> None:
        producer, lost = FakeProducer(), list[int]()
        topic = AuditTopic(producer, topic="audit", lost=lost.append)
        async with producer.hold_for_test(), topic.running(drained_within=timedelta(0)):
            for number in range(10_100):
                topic.put(record(number))
        assert 0 < sum(lost) <= 10_100


@pytest.mark.parametrize("error", [KafkaUnavailableError("away"), TopicMismatchError("denied")])
async def test_a_gateway_starts_without_the_audit_topic(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(audit_topic, "ensure_topic", fail)
    metrics = Metrics(CollectorRegistry())
    auth = AuthSettings(mode="required", grants_file=Path("g"), keys_file=Path("k"))
    async with opened_audit(auth, KafkaSettings(), client_id="test", metrics=metrics) as opened:
        assert opened is not None


async def test_there_is_no_audit_where_nobody_is_identified() -> None:
    metrics = Metrics(CollectorRegistry())
    auth = AuthSettings(mode="none")
    async with opened_audit(auth, KafkaSettings(), client_id="test", metrics=metrics) as opened:
        assert opened is None
