"""POST /v1/runs."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from sluice_contracts.records import header
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.services.identification import ANYBODY
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.submission import Asked, Started, Submission
from tests.support.fake_producer import FakeProducer
from tests.support.fake_view import EmptyView
from tests.support.goldens import Golden
from tests.unit.gateway.harness import (
    CATALOGUE,
    GREET,
    NOW,
    TOPICS,
    TRACE,
    TRACEPARENT,
    Gateway,
    load_shedder_of,
    opened_store,
    published,
    request_producer_of,
    running_gateway,
    view_of,
)

JSON = {"Content-Type": "application/json"}


async def problem_of(response: Any, *, status: int, kind: str) -> dict[str, Any]:
    document = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (status, f"urn:sluice:problem:{kind}")
    assert document["status"] == status
    assert document["instance"] == "/v1/runs"
    assert len(document["trace_id"]) == 32
    assert isinstance(document, dict)
    return document


async def test_an_acknowledged_request_is_answered_202_and_stands_on_the_topic(
    gateway: Gateway, golden: Golden
) -> None:
    response = await gateway.post({"id": "order-1", **GREET}, traceparent=TRACEPARENT)

    assert response.status == 202
    assert response.headers["Location"] == "/v1/runs/order-1"
    assert response.headers["traceparent"].startswith(f"00-{TRACE}-")
    golden("gateway/accepted.json", json.dumps(await response.json(), indent=2) + "\n")
    [received] = gateway.requests()
    assert str(received.key) == "default/order-1"
    assert received.request.workflow == "greet"
    assert received.request.parameters == {"name": "Ada"}
    [record] = gateway.producer.records_for_test(TOPICS.requests)
    assert record.key == b"default/order-1"
    assert (header(record.headers, "traceparent") or "").split("-")[1] == TRACE


async def test_a_tenant_is_part_of_the_key_and_of_the_links(gateway: Gateway) -> None:
    response = await gateway.post({"id": "order-1", "tenant": "acme", **GREET})

    assert response.headers["Location"] == "/v1/runs/order-1?tenant=acme"
    links = (await response.json())["links"]
    assert links["events"] == "/v1/runs/order-1/events?tenant=acme"
    assert (await gateway.client.get(links["self"])).status == 200
    assert (await gateway.client.get("/v1/runs/order-1")).status == 404


async def test_a_run_without_an_id_gets_one(gateway: Gateway) -> None:
    ids = [(await (await gateway.post(GREET)).json())["id"] for _ in range(3)]

    assert len(set(ids)) == 3
    assert [received.key.run_id for received in gateway.requests()] == ids


async def test_made_ids_sort_by_time(tmp_path: Path) -> None:
    clock = [NOW]
    producer = FakeProducer()
    async with opened_store(tmp_path / "view.sqlite") as store:
        submission = Submission(
            catalogue=CATALOGUE,
            producer=request_producer_of(producer),
            view=view_of(store),
            quotas=RequestQuotas(),
            now=lambda: clock[0],
        )
        ids = []
        for _ in range(5):
            request = RunRequest.model_validate(GREET)
            asked = Asked(
                request=request,
                content=request.content(),
                idempotency_key=None,
                traceparent=TRACEPARENT,
                identity=ANYBODY,
            )
            started = await submission.submit(asked)
            assert isinstance(started, Started)
            ids.append(started.key.run_id)
            clock[0] += timedelta(milliseconds=1)
    assert ids == sorted(ids)
    assert {len(run_id) for run_id in ids} == {32}


@pytest.mark.parametrize("written", ['"order-1"', "order-1", ' "order-1" '])
async def test_idempotency_key_becomes_the_id(gateway: Gateway, written: str) -> None:
    response = await gateway.post(GREET, Idempotency_Key=written)

    assert (response.status, (await response.json())["id"]) == (202, "order-1")


async def test_key_and_id_may_both_be_given_if_they_agree(gateway: Gateway) -> None:
    asked = {"id": "order-1", **GREET}
    assert (await gateway.post(asked, Idempotency_Key='"order-1"')).status == 202

    refused = await gateway.post(asked, Idempotency_Key='"order-2"')
    document = await problem_of(refused, status=422, kind="invalid-request")
    assert document["errors"][0]["pointer"] == "/id"


@pytest.mark.parametrize("key", ["", '""', '"a b"', "a b", '"a', "-a", "x" * 129, '"é"', "a;b=c"])
async def test_a_key_that_can_name_no_run_is_refused(gateway: Gateway, key: str) -> None:
    response = await gateway.post(GREET, Idempotency_Key=key)

    document = await problem_of(response, status=422, kind="invalid-request")
    assert "Idempotency-Key" in document["detail"]
    assert not gateway.requests()


async def test_two_keys_are_one_too_many(gateway: Gateway) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    response = await gateway.client.post("/v1/runs", json=GREET, headers=headers)

    await problem_of(response, status=422, kind="invalid-request")


async def test_a_run_that_was_accepted_can_be_read_at_once(gateway: Gateway) -> None:
    await gateway.post({"id": "order-1", **GREET})

    response = await gateway.client.get("/v1/runs/order-1")
    assert response.status == 200
    assert (await response.json())["phase"] == "Accepted"


class TestSameId:
    async def test_same_content_is_the_same_run(self, gateway: Gateway) -> None:
        await gateway.post({"id": "order-1", **GREET})
        again = await gateway.post({"id": "order-1", **GREET})

        assert again.status == 200
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == "/v1/runs/order-1"
        document = await again.json()
        assert (document["run_id"], document["phase"]) == ("order-1", "Accepted")
        assert len(gateway.requests()) == 1

    async def test_a_replay_returns_the_present_state(self, gateway: Gateway) -> None:
        await gateway.post({"id": "order-1", **GREET})
        [received] = gateway.requests()
        await gateway.publish(
            published(5, Phase.SUCCEEDED, fingerprint=received.request.fingerprint)
        )
        again = await gateway.post({"id": "order-1", **GREET})

        assert (await again.json())["phase"] == "Succeeded"
        assert "Retry-After" not in again.headers

    async def test_other_content_is_a_conflict(self, gateway: Gateway) -> None:
        await gateway.post({"id": "order-1", **GREET})
        other = {"workflow": "greet", "parameters": {"name": "Bob"}}

        refused = await gateway.post({"id": "order-1", **other})
        document = await problem_of(refused, status=409, kind="id-conflict")
        assert document["errors"][0]["pointer"] == "/id"
        refused = await gateway.post(other, Idempotency_Key="order-1")
        await problem_of(refused, status=422, kind="idempotency-key-reused")
        assert len(gateway.requests()) == 1

    async def test_an_id_spent_on_kafka_is_spent(self, gateway: Gateway) -> None:
        await gateway.publish(published(0, Phase.REJECTED, fingerprint="of something else"))

        refused = await gateway.post({"id": "order-1", **GREET})
        await problem_of(refused, status=409, kind="id-conflict")

    async def test_an_accepted_run_is_replayed_though_it_would_be_refused_now(
        self, gateway: Gateway
    ) -> None:
        soon = datetime.now(UTC) + timedelta(hours=1)
        await gateway.post({"id": "order-1", "expires_at": soon.isoformat(), **GREET})
        past = {"id": "order-1", "expires_at": "2020-01-01T00:00:00Z", **GREET}

        assert (await gateway.post(past)).status == 200

    async def test_fifty_at_once_are_one_record_and_fifty_answers(self, gateway: Gateway) -> None:
        document = {"id": "order-1", **GREET}
        async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
            posts = [group.create_task(gateway.post(document)) for _ in range(50)]
            await gateway.producer.waiting_for_test(1)
        answers = [post.result() for post in posts]

        assert {answer.status for answer in answers} <= {200, 202}
        assert {(await a.json()).get("run_id", (await a.json()).get("id")) for a in answers} == {
            "order-1"
        }
        assert len(gateway.requests()) == 1

    async def test_other_content_while_the_first_is_in_flight_is_a_conflict(
        self, gateway: Gateway
    ) -> None:
        async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
            first = group.create_task(gateway.post({"id": "order-1", **GREET}))
            await gateway.producer.waiting_for_test(1)
            other = {"id": "order-1", "workflow": "greet", "parameters": {"name": "Bob"}}
            refused = await gateway.post(other)
        await problem_of(refused, status=409, kind="id-conflict")
        assert first.result().status == 202

    async def test_tenants_do_not_share_ids(self, gateway: Gateway) -> None:
        assert (await gateway.post({"id": "order-1", **GREET})).status == 202
        other = {"id": "order-1", "tenant": "acme", "workflow": "greet"}
        assert (await gateway.post({**other, "parameters": {"name": "Bob"}})).status == 202


class TestKafkaAway:
    @pytest.mark.parametrize("written", [True, False])
    async def test_the_outcome_is_unknown_and_the_same_id_may_be_tried_again(
        self, gateway: Gateway, written: bool
    ) -> None:
        gateway.producer.fail_next_for_test(written=written)

        failed = await gateway.post({"id": "order-1", **GREET})
        document = await problem_of(failed, status=503, kind="outcome-unknown")
        assert failed.headers["Retry-After"] == "2"
        assert "order-1" in document["detail"]
        assert (await gateway.post({"id": "order-1", **GREET})).status == 202
        assert {received.key.run_id for received in gateway.requests()} == {"order-1"}

    async def test_a_generated_id_is_named_so_that_it_can_be_used_again(
        self, gateway: Gateway
    ) -> None:
        gateway.producer.fail_next_for_test(written=True)

        failed = await gateway.post(GREET)
        document = await problem_of(failed, status=503, kind="outcome-unknown")
        [received] = gateway.requests()
        assert received.key.run_id in document["detail"]

    async def test_all_who_wait_for_one_send_hear_of_its_failure(self, gateway: Gateway) -> None:
        gateway.producer.fail_next_for_test()
        async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
            posts = [group.create_task(gateway.post({"id": "a", **GREET})) for _ in range(2)]
            await gateway.producer.waiting_for_test(1)
        assert 503 in {post.result().status for post in posts}

    async def test_a_record_that_the_topic_does_not_take_is_too_large(
        self, gateway: Gateway
    ) -> None:
        gateway.producer.max_record_bytes = 10

        await problem_of(await gateway.post(GREET), status=413, kind="too-large")


async def test_a_client_that_leaves_does_not_stop_its_record(gateway: Gateway) -> None:
    async with gateway.producer.hold_for_test():
        post = asyncio.create_task(gateway.post({"id": "order-1", **GREET}))
        await gateway.producer.waiting_for_test(1)
        post.cancel()
        await asyncio.wait({post})
    again = await gateway.post({"id": "order-1", **GREET})

    assert again.status in (200, 202)
    assert len(gateway.requests()) == 1


async def test_a_failure_nobody_waits_for_is_not_an_internal_error(gateway: Gateway) -> None:
    gateway.producer.fail_next_for_test()
    async with gateway.producer.hold_for_test():
        post = asyncio.create_task(gateway.post({"id": "order-1", **GREET}))
        await gateway.producer.waiting_for_test(1)
        post.cancel()
        await asyncio.wait({post})
    # Shutting down waits for the record, and no exception goes unheard (warnings are errors).
    await gateway.client.close()
    assert not gateway.requests()


@pytest.mark.looptime
async def test_draining_waits_for_records_that_nobody_waits_for() -> None:
    producer = FakeProducer()
    submission = Submission(
        catalogue=CATALOGUE,
        producer=request_producer_of(producer),
        view=EmptyView(),
        quotas=RequestQuotas(),
        now=lambda: NOW,
    )
    request = RunRequest.model_validate(GREET)
    asked = Asked(
        request=request,
        content=request.content(),
        idempotency_key=None,
        traceparent=TRACEPARENT,
        identity=ANYBODY,
    )
    async with producer.hold_for_test():
        left = asyncio.create_task(submission.submit(asked))
        await producer.waiting_for_test(1)
        left.cancel()
        await asyncio.wait({left})
        draining = asyncio.create_task(submission.drain())
        await asyncio.sleep(0)
        assert not draining.done()
    await draining
    assert len(producer.records_for_test(TOPICS.requests)) == 1
    await submission.drain()


async def test_shutting_down_waits_for_records_on_their_way(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
            post = group.create_task(gateway.post({"id": "order-1", **GREET}))
            await gateway.producer.waiting_for_test(1)
            closing = group.create_task(gateway.client.server.close())
        await closing
        assert post.result().status == 202


class TestValidation:
    @pytest.mark.parametrize(
        ("document", "kind", "pointers"),
        [
            ({"workflow": "nope"}, "unknown-workflow", ["/workflow"]),
            ({"workflow": "greet"}, "invalid-parameters", ["/parameters/name"]),
            (
                {"workflow": "greet", "parameters": {"name": 1, "times": "x", "more": None}},
                "invalid-parameters",
                ["/parameters/name", "/parameters/times", "/parameters/more"],
            ),
            ({"expires_at": "2020-01-01T00:00:00Z", **GREET}, "expired", ["/expires_at"]),
            ({"unknown": 1, **GREET}, "invalid-request", ["/unknown"]),
            ({"id": "-", **GREET}, "invalid-request", ["/id"]),
            ({"type": "start"}, "invalid-request", ["/type"]),
            ({"type": "stop", "id": "order-1"}, "invalid-request", ["/type"]),
            ([GREET], "invalid-request", [""]),
        ],
    )
    async def test_a_run_that_cannot_start_is_refused_before_kafka(
        self, gateway: Gateway, document: object, kind: str, pointers: list[str]
    ) -> None:
        refused = await problem_of(await gateway.post(document), status=422, kind=kind)

        assert [error["pointer"] for error in refused["errors"]] == pointers
        assert not gateway.requests()

    async def test_values_are_not_repeated(self, gateway: Gateway) -> None:
        secret = "hunter2"
        response = await gateway.post({"workflow": "greet", "parameters": {"name": [secret]}})

        assert secret not in await response.text()

    @pytest.mark.parametrize(
        "body", [b"", b"{", b'{"workflow":"greet","workflow":"greet"}', b"\xff", b"NaN"]
    )
    async def test_ambiguous_json_is_refused(self, gateway: Gateway, body: bytes) -> None:
        response = await gateway.client.post("/v1/runs", data=body, headers=JSON)

        await problem_of(response, status=400, kind="malformed-json")

    async def test_query_parameters_that_mean_nothing_are_refused(self, gateway: Gateway) -> None:
        response = await gateway.client.post("/v1/runs?dry_run=true", json=GREET)

        await problem_of(response, status=422, kind="invalid-request")
        assert not gateway.requests()


class TestBody:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/json; charset=latin-1"},
            {"Content-Type": "application/jsonp"},
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            {"Content-Type": "application/json", "Content-Encoding": "identity"},
        ],
    )
    async def test_other_media_types_are_refused(
        self, gateway: Gateway, headers: dict[str, str]
    ) -> None:
        body = json.dumps(GREET)
        response = await gateway.client.post("/v1/runs", data=body.encode(), headers=headers)

        await problem_of(response, status=415, kind="unsupported-media-type")

    async def test_no_media_type_is_refused(self, gateway: Gateway) -> None:
        response = await gateway.client.post(
            "/v1/runs", data=b"{}", skip_auto_headers=["Content-Type"]
        )

        await problem_of(response, status=415, kind="unsupported-media-type")

    @pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8"])
    async def test_utf_8_may_be_named(self, gateway: Gateway, charset: str) -> None:
        headers = {"Content-Type": f"application/json; charset={charset}"}
        body = json.dumps(GREET)
        response = await gateway.client.post("/v1/runs", data=body.encode(), headers=headers)

        assert response.status == 202

    async def test_a_body_is_taken_as_long_as_its_record_is_not_too_large(
        self, gateway: Gateway
    ) -> None:
        body = io.BytesIO(_body(size=MAX_REQUEST_BYTES - 100))
        response = await gateway.client.post("/v1/runs", data=body, headers=JSON)
        assert response.status == 202
        # The record also holds the id that the gateway made.
        body = io.BytesIO(_body(size=MAX_REQUEST_BYTES))
        response = await gateway.client.post("/v1/runs", data=body, headers=JSON)
        await problem_of(response, status=413, kind="too-large")

    async def test_a_larger_body_is_refused(self, gateway: Gateway) -> None:
        body = io.BytesIO(_body(size=MAX_REQUEST_BYTES + 1))
        response = await gateway.client.post("/v1/runs", data=body, headers=JSON)

        await problem_of(response, status=413, kind="too-large")

    async def test_a_larger_body_of_unknown_length_is_refused(self, gateway: Gateway) -> None:
        body = _body(size=MAX_REQUEST_BYTES + 1)
        response = await gateway.client.post("/v1/runs", data=_chunks(body), headers=JSON)

        await problem_of(response, status=413, kind="too-large")

    async def test_chunks_make_a_body(self, gateway: Gateway) -> None:
        body = _body(size=200_000)
        response = await gateway.client.post("/v1/runs", data=_chunks(body), headers=JSON)

        assert response.status == 202

    async def test_a_body_that_does_not_come_is_not_waited_for(self, tmp_path: Path) -> None:
        never = asyncio.Event()

        async def half() -> AsyncIterator[bytes]:
            yield b'{"workflow":'
            await never.wait()

        async with running_gateway(tmp_path, limits=Limits(body_timeout=0.01)) as gateway:
            response = await gateway.client.post("/v1/runs", data=half(), headers=JSON)
            document = await response.json(content_type="application/problem+json")
            assert (response.status, document["type"]) == (408, "about:blank")
            never.set()

    async def test_a_client_that_asks_first_does_not_send_a_body_too_large(
        self, gateway: Gateway
    ) -> None:
        reader, writer = await asyncio.open_connection(gateway.client.host, gateway.client.port)
        writer.write(
            b"POST /v1/runs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1600001\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"
        writer.close()

    async def test_a_client_that_leaves_in_the_middle_is_only_counted(
        self, gateway: Gateway
    ) -> None:
        host, port = gateway.client.host, gateway.client.port
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /v1/runs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        )
        await reader.readuntil(b"100 Continue\r\n\r\n")
        with structlog.testing.capture_logs() as logs:
            writer.close()
            await gateway.client.close()
        name = "sluice_gateway_requests_total"
        assert gateway.metric(name, method="POST", route="/v1/runs", status="499") == 1
        assert logs == []


class TestOverload:
    async def test_a_request_too_many_is_refused(self, tmp_path: Path) -> None:
        admission = load_shedder_of(max_requests=1)
        async with running_gateway(tmp_path, admission=admission) as gateway:
            async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
                first = group.create_task(gateway.post(GREET))
                await gateway.producer.waiting_for_test(1)
                assert gateway.metric("sluice_gateway_in_flight_requests") == 1
                refused = await gateway.post(GREET)
            await problem_of(refused, status=429, kind="overloaded")
            assert refused.headers["Retry-After"] == "1"
            assert first.result().status == 202
            assert gateway.metric("sluice_gateway_in_flight_requests") == 0
            assert (await gateway.post(GREET)).status == 202

    async def test_bytes_too_many_are_refused(self, tmp_path: Path) -> None:
        admission = load_shedder_of(max_bytes=1000)
        async with running_gateway(tmp_path, admission=admission) as gateway:
            refused = await gateway.client.post("/v1/runs", data=_body(size=1001), headers=JSON)
            await problem_of(refused, status=429, kind="overloaded")
            taken = await gateway.client.post("/v1/runs", data=_body(size=1000), headers=JSON)
            assert taken.status == 202


def _body(*, size: int) -> bytes:
    """Make a valid request of exactly that size: control characters take six bytes each."""
    empty = json.dumps({"workflow": "greet", "parameters": {"name": ""}}, separators=(",", ":"))
    escapes, letters = divmod(size - len(empty), 6)
    filled = empty.replace('""', '"' + "\\u0001" * escapes + "a" * letters + '"')
    assert len(filled) == size
    return filled.encode()


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


async def test_nothing_is_accepted_while_an_acknowledgement_promises_nothing(
    gateway: Gateway,
) -> None:
    assert (await gateway.post({"id": "before", **GREET})).status == 202
    gateway.unsafe.append("sluice.requests: min.insync.replicas is 1, must be at least 2.")

    refused = await gateway.post({"id": "order-1", **GREET})
    document = await problem_of(refused, status=503, kind="unavailable")
    assert "nothing was written" in document["detail"]
    assert refused.headers["Retry-After"] == "60"
    # What was accepted before stays accepted.
    assert (await gateway.post({"id": "before", **GREET})).status == 200
    assert [each.key.run_id for each in gateway.requests()] == ["before"]

    gateway.unsafe.clear()
    assert (await gateway.post({"id": "order-1", **GREET})).status == 202
