"""One request, exactly one Workflow or one outcome, however often it is delivered."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from structlog.contextvars import merge_contextvars

from sluice_argo import metadata
from sluice_argo.request_facts import decode_request_facts
from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import header
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    NotFoundError,
    RefusedError,
    error_for,
)
from tests.support.dispatcher import Desk, hello, in_an_hour

pytestmark = pytest.mark.looptime

KEY = RunKey("default", "order-1")
NAME = workflow_name(KEY)
FINGERPRINT = RunRequest(id="order-1", workflow="hello", parameters={"name": "Ada"}).fingerprint


def counted(desk: Desk, verdict: Verdict) -> float | None:
    return desk.registry.get_sample_value(
        "sluice_dispatcher_records_total", {"verdict": verdict.value}
    )


@pytest.mark.parametrize(
    ("priority", "spec"), [("high", {"priority": 1}), ("normal", {}), ("low", {"priority": -1})]
)
async def test_a_priority_is_that_of_argo(priority: str, spec: dict[str, int]) -> None:
    desk = Desk()
    assert await desk.handler.handle(desk.record(hello("order-1", priority=priority)))
    found = desk.workflows.object_for_test(NAME)["spec"]
    assert {name: found[name] for name in found if name == "priority"} == spec


async def test_a_request_becomes_a_workflow_that_names_its_run() -> None:
    desk = Desk()
    record = desk.record(hello("order-1"))
    assert await desk.handler.handle(record) is Verdict.CREATED
    workflow = desk.workflows.object_for_test(NAME)
    assert workflow["metadata"]["labels"] == {
        metadata.MANAGED_BY: "sluice",
        metadata.TENANT: "default",
        metadata.WORKFLOW: "hello",
    }
    annotations = workflow["metadata"]["annotations"]
    assert annotations[metadata.RUN_ID] == "order-1"
    assert annotations[metadata.FINGERPRINT] == FINGERPRINT
    assert annotations[metadata.REQUEST] == "sluice.requests/0@0"
    assert annotations[metadata.TRACEPARENT].startswith("00-")
    assert workflow["metadata"]["finalizers"] == [metadata.FINALIZER]
    assert workflow["spec"]["arguments"]["parameters"] == [{"name": "name", "value": "QWRh"}]
    assert desk.publisher.log_for_test == []
    assert counted(desk, Verdict.CREATED) == 1


@pytest.mark.parametrize("trusts", [True, False])
async def test_a_workflow_names_who_asked_if_the_writers_are_trusted(trusts: bool) -> None:
    desk = Desk(settings=DispatcherSettings(kafka=KafkaSettings(trust_requested_by=trusts)))
    asked = (("ce_authid", b"user:ada"), ("ce_authtype", b"user"))
    await desk.handler.handle(desk.record(hello("order-1"), headers=asked))
    annotations = desk.workflows.object_for_test(NAME)["metadata"]["annotations"]
    assert annotations.get(metadata.REQUESTED_BY) == ("user:ada" if trusts else None)
    ops = (("ce_authid", b"api_key:ops"),)
    await desk.handler.handle(desk.record({"type": "stop", "id": "order-1"}, headers=ops))
    annotations = desk.workflows.object_for_test(NAME)["metadata"]["annotations"]
    facts = decode_request_facts(annotations)
    assert facts.requested_by == ("user:ada" if trusts else None)
    assert facts.last_command is not None
    assert facts.last_command.requested_by == ("api_key:ops" if trusts else None)
    await desk.handler.handle(desk.record(hello("order-2", workflow="none"), headers=asked))
    [outcome] = desk.publisher.outcomes_for_test
    assert outcome.event.requested_by == ("user:ada" if trusts else None)


async def test_a_redelivery_is_the_same_run() -> None:
    desk = Desk()
    record = desk.record(hello("order-1"))
    await desk.handler.handle(record)
    assert await desk.handler.handle(record) is Verdict.SAME_RUN
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.SAME_RUN
    assert desk.workflows.names_for_test() == {NAME}
    assert desk.publisher.log_for_test == []


async def test_a_replay_after_the_workflow_is_gone_starts_nothing() -> None:
    desk = Desk()
    desk.ledger.outcomes_for_test[KEY] = LedgerEntry(fingerprint=FINGERPRINT, phase=Phase.SUCCEEDED)
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REPLAYED
    assert desk.workflows.names_for_test() == set()
    assert desk.publisher.log_for_test == []


@pytest.mark.parametrize("gone", [False, True])
async def test_the_same_id_with_other_content_is_refused_and_the_first_run_untouched(
    gone: bool,
) -> None:
    desk = Desk()
    await desk.handler.handle(desk.record(hello("order-1")))
    before = desk.workflows.object_for_test(NAME)
    if gone:
        await desk.workflows.remove_for_test(NAME)
        desk.ledger.outcomes_for_test[KEY] = LedgerEntry(
            fingerprint=FINGERPRINT, phase=Phase.FAILED
        )
    other = desk.record(hello("order-1", name="Bob"))
    assert await desk.handler.handle(other) is Verdict.REFUSED
    assert desk.publisher.log_for_test == ["dead letter", "refusal"]
    [letter] = desk.publisher.dead_letters_for_test
    assert letter.value == other.value
    assert header(letter.headers, "sluice_reason") == ProblemType.ID_CONFLICT
    [notice] = desk.publisher.refusals_for_test
    assert (notice.run_id, notice.request) == ("order-1", "sluice.requests/0@1")
    if gone:
        assert desk.workflows.names_for_test() == set()
    else:
        assert desk.workflows.object_for_test(NAME) == before


async def test_a_foreign_workflow_of_that_name_is_not_the_run() -> None:
    desk = Desk()
    await desk.workflows.create({"metadata": {"name": NAME}, "spec": {}})
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REFUSED


async def test_an_unclear_answer_is_settled_by_reading() -> None:
    desk = Desk()
    desk.workflows.lose_answers_for_test("create")
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.SAME_RUN
    assert desk.workflows.calls_for_test("create") == 1


async def test_a_create_without_a_clear_answer_and_without_a_workflow_is_retried() -> None:
    desk = Desk()
    desk.workflows.fail_for_test("create", *[ApiUnavailableError("503")] * 3)
    desk.workflows.fail_for_test("get", ApiUnavailableError("503"))
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.CREATED
    assert desk.workflows.calls_for_test("create") == 4
    assert desk.publisher.log_for_test == []
    retries = desk.registry.get_sample_value("sluice_dispatcher_retries_total", {"step": "create"})
    assert retries == 3


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no namespace", status=404, reason="NotFound"),
        ConflictError("quota in motion", status=409, reason="Conflict"),
    ],
)
async def test_a_create_waits_until_the_cluster_is_fixed(error: Exception) -> None:
    desk = Desk()
    desk.workflows.fail_for_test("create", error, error)
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.CREATED
    assert desk.publisher.log_for_test == []


async def test_retry_after_is_honoured(looptime: Any) -> None:
    desk = Desk()
    desk.workflows.fail_for_test("create", ApiUnavailableError("429", retry_after=120))
    await desk.handler.handle(desk.record(hello("order-1")))
    assert looptime >= 120


async def test_a_workflow_that_ended_while_its_request_was_retried_is_not_started_again() -> None:
    desk = Desk()
    desk.workflows.fail_for_test("create", ApiUnavailableError("timeout"))
    held = desk.workflows.hold_for_test("get")
    handling = asyncio.create_task(desk.handler.handle(desk.record(hello("order-1"))))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("get") == 1)
    desk.ledger.outcomes_for_test[KEY] = LedgerEntry(fingerprint=FINGERPRINT, phase=Phase.SUCCEEDED)
    held.set()
    assert await handling is Verdict.REPLAYED
    assert desk.workflows.names_for_test() == set()


async def test_a_name_is_tried_again_when_its_workflow_is_deleted_before_it_is_read() -> None:
    desk = Desk()
    await desk.handler.handle(desk.record(hello("order-1")))
    held = desk.workflows.hold_for_test("get")
    handling = asyncio.create_task(desk.handler.handle(desk.record(hello("order-1"))))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("get") == 1)
    await desk.workflows.remove_for_test(NAME)
    held.set()
    assert await handling is Verdict.CREATED


async def test_a_workflow_that_the_cluster_refuses_is_rejected_once() -> None:
    desk = Desk()
    desk.workflows.fail_for_test("create", RefusedError("too big", status=413, reason="TooLarge"))
    record = desk.record(hello("order-1"))
    assert await desk.handler.handle(record) is Verdict.REJECTED
    assert desk.publisher.log_for_test == ["dead letter", "outcome"]
    [published] = desk.publisher.outcomes_for_test
    assert published.event.problem is not None
    assert published.event.problem.type is ProblemType.REFUSED_BY_CLUSTER
    assert await desk.handler.handle(record) is Verdict.REPLAYED
    assert desk.publisher.log_for_test == ["dead letter", "outcome"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"id": "order-1", "workflow": "nope"}, ProblemType.UNKNOWN_WORKFLOW),
        (
            {"id": "order-1", "workflow": "hello", "parameters": {"name": 5}},
            ProblemType.INVALID_PARAMETERS,
        ),
        (
            {"id": "order-1", "workflow": "hello", "parameters": {"nome": "x"}},
            ProblemType.INVALID_PARAMETERS,
        ),
        ({"id": "order-1", "workflow": "hello", "urgent": True}, ProblemType.INVALID_REQUEST),
        (
            b'{"id": "order-1", "workflow": "hello", "workflow": "hello"}',
            ProblemType.MALFORMED_JSON,
        ),
    ],
)
async def test_an_invalid_request_is_a_dead_letter_and_its_run_rejected(
    document: dict[str, Any] | bytes, reason: ProblemType
) -> None:
    desk = Desk()
    record = desk.record(document)
    assert await desk.handler.handle(record) is Verdict.REJECTED
    assert desk.publisher.log_for_test == ["dead letter", "outcome"]
    [letter] = desk.publisher.dead_letters_for_test
    assert letter.value == record.value
    assert header(letter.headers, "sluice_reason") == reason
    assert json.loads(header(letter.headers, "sluice_problem") or "")["type"] == reason
    [published] = desk.publisher.outcomes_for_test
    event = published.event
    assert (event.run_id, event.phase, event.terminal) == ("order-1", Phase.REJECTED, True)
    assert (event.workflow_name, event.sequence) == (NAME, 0)
    assert desk.workflows.names_for_test() == set()
    # A redelivery publishes nothing again, and the id is used up.
    assert await desk.handler.handle(record) is Verdict.REPLAYED
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REFUSED
    assert len(desk.publisher.outcomes_for_test) == 1


@pytest.mark.parametrize(
    "value",
    [b"not json", b"[1, 2]", None, b"x" * 2_000_000, b'{"id": "a", "id": "b"}', b'{"id": "a b"}'],
)
async def test_a_record_without_a_known_id_is_only_a_dead_letter(
    value: bytes | None,
) -> None:
    desk = Desk()
    assert await desk.handler.handle(desk.record(value, key=b"k")) is Verdict.REJECTED
    assert desk.publisher.log_for_test == ["dead letter"]


async def test_an_invalid_request_with_the_id_of_a_live_run_leaves_it_alone() -> None:
    desk = Desk()
    await desk.handler.handle(desk.record(hello("order-1")))
    rubbish = desk.record({"id": "order-1", "workflow": "nope"})
    assert await desk.handler.handle(rubbish) is Verdict.REFUSED
    assert desk.publisher.log_for_test == ["dead letter", "refusal"]


async def test_a_run_whose_entry_has_left_the_catalogue_is_still_the_same_run() -> None:
    desk = Desk()
    request = RunRequest(id="order-1", workflow="gone", parameters={})
    await desk.workflows.create(
        {
            "metadata": {
                "name": NAME,
                "labels": {metadata.TENANT: "default"},
                "annotations": {
                    metadata.RUN_ID: "order-1",
                    metadata.FINGERPRINT: request.fingerprint,
                },
            }
        }
    )
    record = desk.record({"id": "order-1", "workflow": "gone"})
    assert await desk.handler.handle(record) is Verdict.SAME_RUN


async def test_a_request_read_after_expires_at_expires() -> None:
    desk = Desk()
    late = desk.record(hello("order-1", expires_at="2020-01-01T00:00:00Z"))
    assert await desk.handler.handle(late) is Verdict.EXPIRED
    [published] = desk.publisher.outcomes_for_test
    assert published.event.phase is Phase.EXPIRED
    assert published.event.problem is not None
    assert published.event.problem.type is ProblemType.EXPIRED
    assert desk.publisher.dead_letters_for_test == []
    assert await desk.handler.handle(late) is Verdict.REPLAYED


async def test_a_request_in_time_runs_and_does_not_expire_when_redelivered_late() -> None:
    desk = Desk()
    in_time = desk.record(hello("order-1", expires_at=in_an_hour()))
    assert await desk.handler.handle(in_time) is Verdict.CREATED
    late = desk.record(hello("order-1", expires_at="2020-01-01T00:00:00Z"))
    assert await desk.handler.handle(late) is Verdict.SAME_RUN
    other = desk.record(hello("order-1", name="Bob", expires_at="2020-01-01T00:00:00Z"))
    assert await desk.handler.handle(other) is Verdict.REFUSED


async def test_publishing_is_retried_until_kafka_acknowledges() -> None:
    desk = Desk()
    desk.publisher.fail_for_test(times=3)
    assert await desk.handler.handle(desk.record(b"[]")) is Verdict.REJECTED
    assert desk.publisher.log_for_test == ["dead letter"]


async def test_ids_come_from_the_key_or_from_the_position_of_the_record() -> None:
    desk = Desk()
    document = {"workflow": "hello"}
    await desk.handler.handle(desk.record(document, key=b"order-1"))
    without = desk.record(document)
    await desk.handler.handle(without)
    assert await desk.handler.handle(without) is Verdict.SAME_RUN
    assert await desk.handler.handle(desk.record(document)) is Verdict.CREATED
    assert NAME in desk.workflows.names_for_test()
    assert len(desk.workflows.names_for_test()) == 3


async def test_fifty_at_once_are_one_run() -> None:
    desk = Desk()
    records = [desk.record(hello("order-1")) for _ in range(50)]
    verdicts = await asyncio.gather(*(desk.handler.handle(record) for record in records))
    assert verdicts.count(Verdict.CREATED) == 1
    assert verdicts.count(Verdict.SAME_RUN) == 49


async def test_a_bug_loses_no_record_and_stops_no_other() -> None:
    desk = Desk()
    desk.workflows.fail_for_test("create", ZeroDivisionError())
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.CREATED


async def test_a_request_that_expires_while_it_is_retried_is_not_started() -> None:
    desk = Desk()
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    desk.workflows.fail_for_test("create", ApiUnavailableError("503", retry_after=1))
    record = desk.record(hello("order-1", expires_at=soon))
    handling = asyncio.create_task(desk.handler.handle(record))
    await desk.workflows.wait_for_test(lambda: desk.workflows.calls_for_test("get") == 1)
    desk.now_for_test = datetime.now(UTC) + timedelta(hours=1)
    assert await handling is Verdict.EXPIRED
    assert desk.workflows.names_for_test() == set()


async def test_the_words_of_the_cluster_are_not_repeated() -> None:
    desk = Desk()
    secret = "correct-horse"
    error = RefusedError(f"Invalid value: {secret}", status=422, reason="Invalid")
    desk.workflows.fail_for_test("create", error)
    with structlog.testing.capture_logs() as logs:
        await desk.handler.handle(desk.record(hello("order-1")))
    [published] = desk.publisher.outcomes_for_test
    assert secret not in published.event.model_dump_json()
    assert secret not in repr(logs)
    assert published.event.message == "The cluster refused the Workflow: 422 Invalid."


async def test_a_value_quoted_by_the_cluster_is_not_logged_during_retries() -> None:
    desk = Desk()
    for code, message in [
        (400, 'admission webhook "w.example" denied the request: not "correct-horse"'),
        (500, 'failed calling webhook "w.example": "correct-horse" is not a number'),
        (403, "correct-horse"),
    ]:
        answer = {"kind": "Status", "reason": "correct-horse", "message": message}
        error = error_for(code, json.dumps(answer).encode(), what="POST /workflows")
        desk.workflows.fail_for_test("create", error)
    with structlog.testing.capture_logs() as logs:
        assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.CREATED
    assert [log["error"] for log in logs if log["event"] == "step failed, retrying"] == [
        "POST /workflows: 400 Unknown by webhook w.example",
        "POST /workflows: 500 Unknown by webhook w.example",
        "POST /workflows: 403 Unknown",
    ]
    assert "correct-horse" not in repr(logs)


async def test_every_log_line_of_a_request_names_its_run_trace_and_position() -> None:
    desk = Desk()
    trace = "0af7651916cd43dd8448eb211c80319c"
    desk.workflows.fail_for_test("create", ApiUnavailableError("503"), ZeroDivisionError())
    headers = (("traceparent", f"00-{trace}-b7ad6b7169203331-01".encode()),)
    with structlog.testing.capture_logs(processors=[merge_contextvars]) as logs:
        await desk.handler.handle(desk.record(hello("order-1"), headers=headers))
    assert [log["event"] for log in logs] == [
        "step failed, retrying",
        "cannot handle a record, please report this",
        "request finished",
    ]
    assert {(log["run"], log["trace_id"], log["position"]) for log in logs} == {
        ("default/order-1", trace, "sluice.requests/0@0")
    }
