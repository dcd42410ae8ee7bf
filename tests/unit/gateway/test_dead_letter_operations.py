"""Dead letters over HTTP: who sees what of them, and what a replay or a drop does."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.audit import Verdict
from sluice_contracts.dead_letters import LetterDecision, decode_dead_letter, encode_dead_letter
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import FieldError, ProblemType, problem
from sluice_contracts.records import Headers, IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedCommand, ReceivedRun, decode_request
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.domain.identity import Scope
from tests.support.projections import apply
from tests.unit.gateway.harness import DOOR, TOPICS, Gateway
from tests.unit.gateway.identities import as_, grant, granting_gateway
from tests.unit.gateway.test_audit import Records

Json = dict[str, Any]

GREET = {"workflow": "greet", "parameters": {"name": "Ada"}}
OPERATOR = (Scope.DLQ, Scope.START, Scope.COMMAND, Scope.READ, Scope.PAYLOADS)


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[Gateway]:
    grants = [
        grant("operator", *OPERATOR),
        grant("blind", Scope.DLQ, Scope.START),
        grant("clerk", Scope.DLQ, Scope.PAYLOADS),
        grant("acme", *OPERATOR, tenants=("acme",)),
        grant("globex", *OPERATOR, tenants=("globex",)),
        grant("greeter", *OPERATOR, workflows=("greet",)),
    ]
    async with granting_gateway(folder, *grants, **options) as gateway:
        yield gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path) as gateway:
        yield gateway


async def bury(
    gateway: Gateway,
    value: object,
    *,
    reason: ProblemType = ProblemType.UNKNOWN_WORKFLOW,
    run: RunKey | None = None,
    key: bytes | None = None,
    headers: Headers = (),
    on: str = TOPICS.requests,
) -> str:
    """Make a dead letter of a record; return its path."""
    data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    record = IncomingRecord(
        position=Position(on, 2, 40), timestamp_ms=5, key=key, value=data, headers=headers
    )
    errors = (FieldError(pointer="/parameters/secret", detail="Not declared."),)
    written = await gateway.bury(
        encode_dead_letter(record, problem(reason, "Said of it.", errors=errors), key=run),
        topic=DOOR.dlq if on == DOOR.requests else TOPICS.dlq,
    )
    door = "globex." if on == DOOR.requests else ""
    return f"/v1/dead-letters/{door}{written.position.partition}-{written.position.offset}"


async def get(gateway: Gateway, path: str, *, name: str = "operator") -> tuple[int, Json]:
    response = await gateway.client.get(path, headers=as_(name))
    return response.status, await response.json(content_type=None)


async def post(
    gateway: Gateway, path: str, body: object = None, *, name: str = "operator"
) -> tuple[int, Mapping[str, Any]]:
    response = await gateway.client.post(path, json=body, headers=as_(name))
    return response.status, await response.json(content_type=None)


def written_to(gateway: Gateway, topic: str = TOPICS.requests) -> list[ReceivedRun]:
    found = [decode_request(each) for each in gateway.producer.records_for_test(topic)]
    assert all(isinstance(each, ReceivedRun) for each in found)
    return [each for each in found if isinstance(each, ReceivedRun)]


def decisions(gateway: Gateway, topic: str = TOPICS.dlq) -> list[tuple[Position, LetterDecision]]:
    found = [decode_dead_letter(each) for each in gateway.producer.records_for_test(topic)]
    return [each for each in found if isinstance(each, tuple)]


class TestReading:
    async def test_a_list_has_the_newest_first_in_parts(self, gateway: Gateway) -> None:
        paths = [await bury(gateway, b"{", key=b"%d" % number) for number in range(5)]
        found: list[str] = []
        address: str | None = "/v1/dead-letters?limit=2&state=open"
        while address is not None:
            status, page = await get(gateway, address)
            assert status == 200
            found += [each["links"]["self"] for each in page["dead_letters"]]
            address = page["links"]["next"]
        assert found == paths[::-1]

    async def test_a_letter_in_a_list_has_all_but_its_content(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET, run=RunKey("acme", "order-1"), key=b"k")
        _, page = await get(gateway, "/v1/dead-letters?tenant=acme")
        [letter] = page["dead_letters"]
        rejected_at = letter.pop("rejected_at")
        assert letter == {
            "id": path.rpartition("/")[2],
            "state": "open",
            "reason": ProblemType.UNKNOWN_WORKFLOW,
            "title": "Unknown workflow",
            "detail": "Said of it.",
            "tenant": "acme",
            "run": {"tenant": "acme", "id": "order-1"},
            "request": "sluice.requests/2@40",
            "requested_at": "1970-01-01T00:00:00.005000Z",
            "size": len(json.dumps(GREET)),
            "truncated": False,
            "decision": None,
            "links": {"self": path, "run": None},
        }
        _, later = await get(gateway, f"/v1/dead-letters?until={rejected_at}")
        assert later["dead_letters"] == []

    async def test_the_record_is_shown_as_it_was_received(self, gateway: Gateway) -> None:
        headers = (("a", b"1"), ("a", b"\xff"), ("sluice_run", b"forged"))
        path = await bury(gateway, b'{"a": "\xc3\xbc"}', key=b"\x00\xff", headers=headers)
        status, letter = await get(gateway, path)
        assert status == 200
        assert letter["payload"] == {
            "key": {"encoding": "base64", "data": base64.b64encode(b"\x00\xff").decode()},
            "value": {"encoding": "utf-8", "data": '{"a": "ü"}'},
            "headers": [
                {"name": "a", "value": {"encoding": "utf-8", "data": "1"}},
                {"name": "a", "value": {"encoding": "base64", "data": "/w=="}},
                {"name": "sluice_run", "value": {"encoding": "utf-8", "data": "forged"}},
            ],
        }
        assert letter["problem"]["errors"][0]["pointer"] == "/parameters/secret"

    async def test_a_record_without_key_and_value_is_shown(self, gateway: Gateway) -> None:
        path = await bury(gateway, None, reason=ProblemType.EMPTY_RECORD)
        _, letter = await get(gateway, path)
        assert (letter["payload"], letter["size"]) == (
            {"key": None, "value": None, "headers": []},
            0,
        )

    async def test_nothing_that_may_be_a_value_is_shown_without_payloads_read(
        self, gateway: Gateway
    ) -> None:
        path = await bury(gateway, {"secret": 1}, key=b"secret", headers=(("secret", b"1"),))
        assert (await post(gateway, f"{path}/drop", {"reason": "secret"}))[0] == 202
        for address in (path, "/v1/dead-letters"):
            response = await gateway.client.get(address, headers=as_("blind"))
            text = await response.text()
            assert response.status == 200
            assert "secret" not in text
            assert "Said of it" not in text
            shown = json.dumps((await get(gateway, address))[1])
            assert "secret" in shown
        _, letter = await get(gateway, path, name="blind")
        assert (letter["payload"], letter["detail"]) == (None, None)

    async def test_who_has_it_gets_304(self, gateway: Gateway) -> None:
        path = await bury(gateway, b"{")
        first = await gateway.client.get(path, headers=as_("operator"))
        known = {"If-None-Match": first.headers["ETag"]}
        again = await gateway.client.get(path, headers={**as_("operator"), **known})
        assert again.status == 304
        other = await gateway.client.get(path, headers={**as_("blind"), **known})
        assert other.status == 200

    async def test_hidden_unknown_and_impossible_ones_are_the_same(self, gateway: Gateway) -> None:
        hidden = await bury(gateway, GREET, run=RunKey("globex", "x"), on=DOOR.requests)
        answers = [
            await get(gateway, path, name="acme")
            for path in (hidden, "/v1/dead-letters/9-9", "/v1/dead-letters/nowhere.0-0")
        ]
        assert {status for status, _ in answers} == {404}
        assert len({body["detail"] for _, body in answers}) == 1
        assert (await get(gateway, "/v1/dead-letters/x", name="acme"))[0] == 404
        assert (await get(gateway, hidden, name="globex"))[0] == 200
        assert (await get(gateway, hidden))[0] == 200
        for action in ("replay", "drop"):
            assert (await post(gateway, f"{hidden}/{action}", name="acme"))[0] == 404
        assert decisions(gateway, DOOR.dlq) == []

    async def test_what_is_no_longer_kept_is_not_found(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        [record] = gateway.producer.records_for_test(TOPICS.dlq)
        gateway.letter_topics.expire_for_test(record.position)
        assert (await get(gateway, path))[0] == 404
        assert (await post(gateway, f"{path}/replay"))[0] == 404

    async def test_without_kafka_the_content_is_unavailable(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        gateway.letter_topics.away_for_test(away=True)
        assert (await get(gateway, path))[0] == 503
        assert (await post(gateway, f"{path}/replay"))[0] == 503
        assert (await get(gateway, "/v1/dead-letters"))[0] == 200

    async def test_nothing_is_said_before_all_are_read(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        gateway.letters_staleness.update({"": None, "globex": None})
        for address in ("/v1/dead-letters", path, "/v1/dead-letters/9-9"):
            status, body = await get(gateway, address)
            assert (status, "still being read" in body["detail"]) == (503, True)
        for action in ("replay", "drop"):
            assert (await post(gateway, f"{path}/{action}"))[0] == 503

    @pytest.mark.parametrize("age", [None, 31.0])
    async def test_a_topic_that_cannot_be_read_is_named_to_those_who_may_see_it(
        self, gateway: Gateway, age: float | None
    ) -> None:
        path = await bury(gateway, GREET)
        gateway.letters_staleness["globex"] = age
        for name, behind in (("operator", ["globex"]), ("acme", [])):
            status, body = await get(gateway, "/v1/dead-letters", name=name)
            assert (status, body["behind"]) == (200, behind)
        assert (await get(gateway, path))[0] == 200
        assert (await get(gateway, "/v1/dead-letters/9-9"))[0] == 404
        # Nobody finds out what is hidden there.
        for name in ("operator", "acme"):
            assert (await get(gateway, "/v1/dead-letters/globex.9-9", name=name))[0] == 503

    @pytest.mark.parametrize("cursor", ["x", "1:", "1:x", "-1:0-0"])
    async def test_another_cursor_is_refused(self, gateway: Gateway, cursor: str) -> None:
        assert (await get(gateway, f"/v1/dead-letters?cursor={cursor}"))[0] == 422


class TestReplay:
    async def test_the_request_becomes_a_run_with_an_id_of_its_own(self, gateway: Gateway) -> None:
        spent = RunKey("default", "order-1")
        value = {**GREET, "id": "order-1", "labels": {"team": "a"}, "priority": "high"}
        path = await bury(gateway, value, run=spent, key=b"other", headers=(("ce_x", b"1"),))
        response = await gateway.client.post(
            f"{path}/replay", json={"reason": "corrected"}, headers=as_("operator")
        )
        assert response.status == 202
        [run] = written_to(gateway)
        assert run.key.tenant == "default"
        assert run.key.run_id not in ("order-1", "other")
        assert run.request.parent == "order-1"
        assert (run.request.workflow, run.request.parameters) == ("greet", {"name": "Ada"})
        assert (run.request.labels, run.request.priority) == ({"team": "a"}, "high")
        assert response.headers["Location"] == f"/v1/runs/{run.key.run_id}"
        body = await response.json()
        decision = body["decision"]
        assert decision.pop("at")
        assert decision == {
            "by": "api_key:operator",
            "reason": "corrected",
            "run": {"tenant": "default", "id": run.key.run_id},
        }
        assert body["links"] == {"self": path, "run": f"/v1/runs/{run.key.run_id}"}
        assert (await get(gateway, path))[1]["decision"]["reason"] == "corrected"

    async def test_the_decision_stands_behind_the_letter(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET, key=b"some key")
        [letter] = gateway.producer.records_for_test(TOPICS.dlq)
        await post(gateway, f"{path}/replay")
        [(position, decision)] = decisions(gateway)
        assert position == letter.position
        assert (decision.decision, decision.by) == ("replayed", "api_key:operator")
        # Every other gateway reads it.
        await apply(gateway.letters, gateway.producer.records_for_test(TOPICS.dlq))
        assert (await get(gateway, path))[1]["state"] == "replayed"

    async def test_a_letter_is_replayed_once(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        assert (await post(gateway, f"{path}/replay"))[0] == 202
        for action in ("replay", "drop"):
            status, body = await post(gateway, f"{path}/{action}")
            assert (status, "replayed" in body["detail"]) == (409, True)
            assert "api_key:operator" in body["detail"]
        assert len(written_to(gateway)) == len(decisions(gateway)) == 1

    async def test_after_a_crash_before_the_decision_the_same_run_is_started(
        self, gateway: Gateway
    ) -> None:
        path = await bury(gateway, GREET)
        gateway.letter_topics.fail_next_decision_for_test()
        status, body = await post(gateway, f"{path}/replay")
        [run] = written_to(gateway)
        assert (status, run.key.run_id in body["detail"]) == (503, True)
        assert (await get(gateway, path))[1]["state"] == "open"

        await gateway.project_requests()
        status, body = await post(gateway, f"{path}/replay")
        assert (status, body["decision"]["run"]["id"]) == (202, run.key.run_id)
        assert len(written_to(gateway)) == 1

    async def test_two_who_replay_at_once_start_one_run(self, gateway: Gateway) -> None:
        path = await bury(gateway, b'{"workflow": "greet", "parameters": {"name": "Ada"}}')
        letters = gateway.producer.records_for_test(TOPICS.dlq)
        await post(gateway, f"{path}/replay")
        # Another gateway has read neither the decision nor the request.
        await gateway.letters.forget()
        await apply(gateway.letters, letters)
        await gateway.store.forget()
        assert (await post(gateway, f"{path}/replay", name="blind"))[0] == 202
        first, second = written_to(gateway)
        assert first.key == second.key
        assert first.request.fingerprint == second.request.fingerprint
        # Every gateway shows the first one.
        await gateway.letters.forget()
        await apply(gateway.letters, gateway.producer.records_for_test(TOPICS.dlq))
        assert (await get(gateway, path))[1]["decision"]["by"] == "api_key:operator"

    async def test_letters_with_the_same_content_are_runs_of_their_own(
        self, gateway: Gateway
    ) -> None:
        for path in [await bury(gateway, GREET) for _ in range(2)]:
            assert (await post(gateway, f"{path}/replay"))[0] == 202
        first, second = written_to(gateway)
        assert first.key != second.key

    @pytest.mark.parametrize("stated", ["order-1", None])
    async def test_an_edited_value_takes_the_place_of_the_record(
        self, gateway: Gateway, stated: str | None
    ) -> None:
        path = await bury(
            gateway,
            b"{",
            reason=ProblemType.MALFORMED_JSON,
            run=RunKey("default", "order-1"),
            key=b"a-valid-id",
            headers=(("content-type", b"application/cloudevents+json"),),
        )
        assert (await post(gateway, f"{path}/replay"))[0] == 400
        value = {**GREET, **({"id": stated} if stated else {})}
        assert (await post(gateway, f"{path}/replay", {"value": value}))[0] == 202
        [run] = written_to(gateway)
        assert run.key.run_id not in ("order-1", "a-valid-id")

    @pytest.mark.parametrize(
        "changes",
        [
            [{"id": "order-2"}, {"id": "order-3"}, {"tenant": "initech"}],
            [{"parameters": {"name": name}} for name in ("Ada", "Bob", "Cyd")],
        ],
    )
    async def test_one_letter_is_one_run_whatever_values_take_its_place_at_once(
        self, gateway: Gateway, changes: list[Json]
    ) -> None:
        path = await bury(gateway, {**GREET, "id": "order-1"}, run=RunKey("acme", "order-1"))
        values = [{"value": {**GREET, **each}} for each in changes]
        answers = await asyncio.gather(
            *(post(gateway, f"{path}/replay", {"value": GREET}) for _ in range(2)),
            *(post(gateway, f"{path}/replay", each) for each in values),
        )
        assert len({run.key for run in written_to(gateway)}) == 1
        assert written_to(gateway, DOOR.requests) == []
        assert {status for status, _ in answers} <= {202, 409, 422}

    @pytest.mark.parametrize(
        ("change", "pointer"), [({"id": "order-2"}, "/id"), ({"tenant": "default"}, "/tenant")]
    )
    async def test_a_value_has_no_place_of_its_own(
        self, gateway: Gateway, change: Json, pointer: str
    ) -> None:
        path = await bury(
            gateway, {**GREET, "tenant": "acme", "id": "order-1"}, run=RunKey("acme", "order-1")
        )
        status, body = await post(gateway, f"{path}/replay", {"value": {**GREET, **change}})
        assert (status, body["type"]) == (422, ProblemType.INVALID_REQUEST)
        assert [each["pointer"] for each in body["errors"]] == [pointer]
        assert written_to(gateway) == []
        # Without any, it is for the tenant of the record.
        assert (await post(gateway, f"{path}/replay", {"value": GREET}))[0] == 202
        assert written_to(gateway)[0].key.tenant == "acme"

    async def test_a_letter_that_was_replayed_otherwise_is_refused(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        gateway.letter_topics.fail_next_decision_for_test()
        assert (await post(gateway, f"{path}/replay"))[0] == 503
        await gateway.project_requests()
        other = {"value": {**GREET, "parameters": {"name": "Bob"}}}
        status, body = await post(gateway, f"{path}/replay", other)
        assert (status, body["type"]) == (409, ProblemType.ID_CONFLICT)
        assert "replayed before" in body["detail"]
        assert len(written_to(gateway)) == 1

    async def test_the_other_run_of_an_id_conflict_does_not_become_the_parent(
        self, gateway: Gateway
    ) -> None:
        value = {**GREET, "id": "order-1"}
        path = await bury(
            gateway, value, reason=ProblemType.ID_CONFLICT, run=RunKey("default", "order-1")
        )
        assert (await post(gateway, f"{path}/replay"))[0] == 202
        assert written_to(gateway)[0].request.parent is None

    async def test_a_record_on_a_door_s_topic_is_its_tenant_s(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET, on=DOOR.requests)
        assert (await post(gateway, f"{path}/replay", name="globex"))[0] == 202
        [run] = written_to(gateway, DOOR.requests)
        assert run.key.tenant == "globex"
        assert len(decisions(gateway, DOOR.dlq)) == 1

    async def test_a_record_that_claims_another_tenant_is_refused_again(
        self, gateway: Gateway
    ) -> None:
        value = {**GREET, "tenant": "acme", "id": "x"}
        path = await bury(
            gateway,
            value,
            reason=ProblemType.FOREIGN_TENANT,
            run=RunKey("acme", "x"),
            on=DOOR.requests,
        )
        status, body = await post(gateway, f"{path}/replay")
        assert (status, body["type"]) == (403, ProblemType.FOREIGN_TENANT)
        assert written_to(gateway) == written_to(gateway, DOOR.requests) == []
        edited = {"value": {**value, "tenant": "globex"}}
        assert (await post(gateway, f"{path}/replay", edited))[0] == 202
        assert written_to(gateway, DOOR.requests)[0].request.parent is None

    async def test_a_replay_needs_the_grant_to_start_what_the_record_asks_for(
        self, gateway: Gateway
    ) -> None:
        run = RunKey("acme", "x")
        path = await bury(gateway, {**GREET, "tenant": "acme"}, run=run)
        for body in (None, {"value": {**GREET, "tenant": "acme"}}):
            status, _ = await post(gateway, f"{path}/replay", body, name="clerk")
            assert status == 403
        other = {"value": {**GREET, "tenant": "initech"}}
        assert (await post(gateway, f"{path}/replay", other, name="acme"))[0] == 422
        assert written_to(gateway) == []
        assert decisions(gateway) == []
        assert (await post(gateway, f"{path}/replay", name="acme"))[0] == 202

    async def test_an_unsigned_record_is_a_request_of_the_one_who_replays_it(
        self, gateway: Gateway
    ) -> None:
        value = {**GREET, "tenant": "acme"}
        path = await bury(
            gateway, value, reason=ProblemType.UNSIGNED, run=RunKey("acme", "order-1")
        )
        # The tenant is only what the record says.
        assert (await get(gateway, path, name="acme"))[0] == 404
        assert (await post(gateway, f"{path}/replay"))[0] == 202
        [record] = gateway.producer.records_for_test(TOPICS.requests)
        assert dict(record.headers)["ce_authid"] == b"api_key:operator"
        assert written_to(gateway)[0].request.parent is None

    async def test_what_is_still_wrong_is_said_to_those_who_may_see_it(
        self, gateway: Gateway
    ) -> None:
        path = await bury(gateway, {"workflow": "greet", "parameters": {"secret": "s"}})
        status, body = await post(gateway, f"{path}/replay")
        assert (status, body["type"]) == (422, ProblemType.INVALID_PARAMETERS)
        assert "/parameters/secret" in [each["pointer"] for each in body["errors"]]
        status, body = await post(gateway, f"{path}/replay", name="blind")
        assert (status, body["type"]) == (422, ProblemType.INVALID_PARAMETERS)
        assert "secret" not in json.dumps(body)
        assert (await get(gateway, path))[1]["state"] == "open"

    async def test_a_truncated_record_needs_its_value(self, gateway: Gateway) -> None:
        path = await bury(gateway, b"v" * (2 * MAX_REQUEST_BYTES))
        status, body = await post(gateway, f"{path}/replay", name="blind")
        assert (status, "`value`" in body["detail"]) == (409, True)
        assert (await get(gateway, path))[1]["truncated"] is True
        assert (await post(gateway, f"{path}/replay", {"value": GREET}))[0] == 202

    async def test_a_command_is_given_again(self, gateway: Gateway) -> None:
        await gateway.client.post("/v1/runs", json={**GREET, "id": "a"}, headers=as_("operator"))
        await gateway.project_requests()
        command = {"type": "resume", "id": "a", "values": {"decision": "{{x}}"}}
        path = await bury(gateway, command, reason=ProblemType.INVALID_PARAMETERS)
        assert (await post(gateway, f"{path}/replay", name="blind"))[0] == 404
        corrected = {**command, "values": {"decision": "yes"}}
        status, body = await post(gateway, f"{path}/replay", {"value": corrected})
        assert (status, body["decision"]["run"]["id"]) == (202, "a")
        last = decode_request(gateway.producer.records_for_test(TOPICS.requests)[-1])
        assert isinstance(last, ReceivedCommand)
        assert last.command.model_dump()["values"] == {"decision": "yes"}

    async def test_what_kafka_does_not_acknowledge_is_not_decided(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        gateway.producer.away_for_test(away=True)
        for action in ("replay", "drop"):
            status, body = await post(gateway, f"{path}/{action}")
            assert (status, body["type"]) == (503, ProblemType.OUTCOME_UNKNOWN)
        gateway.producer.away_for_test(away=False)
        assert (await get(gateway, path))[1]["state"] == "open"

    @pytest.mark.parametrize(
        "body", [{"value": 1}, {"value": []}, {"reason": ""}, {"reason": "x" * 1025}, {"x": 1}]
    )
    async def test_another_body_is_refused(self, gateway: Gateway, body: Json) -> None:
        path = await bury(gateway, GREET)
        assert (await post(gateway, f"{path}/replay", body))[0] == 422
        assert (await get(gateway, path))[1]["state"] == "open"


class TestDrop:
    async def test_a_letter_is_dropped_once(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        status, body = await post(gateway, f"{path}/drop", {"reason": "a test"}, name="clerk")
        assert (status, body["state"], body["decision"]["reason"]) == (202, "dropped", "a test")
        for action in ("replay", "drop"):
            assert (await post(gateway, f"{path}/{action}"))[0] == 409
        [(_, decision)] = decisions(gateway)
        assert (decision.decision, decision.run) == ("dropped", None)
        assert written_to(gateway) == []

    async def test_it_can_still_be_read(self, gateway: Gateway) -> None:
        path = await bury(gateway, GREET)
        await post(gateway, f"{path}/drop")
        assert (await get(gateway, path))[1]["payload"]["value"]["data"] == json.dumps(GREET)
        _, page = await get(gateway, "/v1/dead-letters?state=open")
        assert page["dead_letters"] == []


async def test_every_replay_drop_and_refusal_is_in_the_audit(tmp_path: Path) -> None:
    records = Records()
    async with running(tmp_path, audit=records) as gateway:
        first, second = [
            await bury(gateway, {**GREET, "tenant": "acme"}, run=RunKey("acme", "x"))
            for _ in range(2)
        ]
        names = [path.rpartition("/")[2] for path in (first, second)]
        await post(gateway, f"{first}/replay", {"reason": "secret"})
        [run] = written_to(gateway)
        assert records.last() == {
            "principal": "api_key:operator",
            "operation": "replayDeadLetter",
            "tenant": "acme",
            "run_id": run.key.run_id,
            "dead_letter": names[0],
            "verdict": Verdict.ACCEPTED,
        }
        await post(gateway, f"{second}/drop", {"reason": "secret"}, name="clerk")
        assert records.last() == {
            "principal": "api_key:clerk",
            "operation": "dropDeadLetter",
            "tenant": "acme",
            "dead_letter": names[1],
            "verdict": Verdict.ACCEPTED,
        }
        await post(gateway, f"{second}/drop")
        assert records.last() == {
            "principal": "api_key:operator",
            "operation": "dropDeadLetter",
            "tenant": "acme",
            "dead_letter": names[1],
            "verdict": Verdict.REFUSED,
            "problem": ProblemType.NOT_APPLICABLE,
        }
        await get(gateway, second, name="globex")
        assert records.last() == {
            "principal": "api_key:globex",
            "operation": "getDeadLetter",
            "dead_letter": names[1],
            "verdict": Verdict.REFUSED,
            "problem": ProblemType.NOT_FOUND,
            "hidden": True,
        }
        assert "secret" not in json.dumps([each.model_dump(mode="json") for each in records])
