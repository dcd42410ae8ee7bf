"""POST /v1/runs:batch."""

import asyncio
import base64
import json
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.ids import RunKey, derive_run_id
from sluice_contracts.status import Phase
from sluice_contracts.strict_json import MAX_VALUES
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import RunState
from sluice_gateway.handlers.batch_bodies import MAX_ITEMS, line_batch
from tests.unit.gateway.harness import GREET, Gateway, published

OTHER = {"workflow": "greet", "parameters": {"name": "Bob"}}
EVENTS = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"


async def send(gateway: Gateway, body: bytes, *, media_type: str = LINES) -> ClientResponse:
    return await gateway.client.post(
        "/v1/runs:batch", data=body, headers={"Content-Type": media_type}
    )


async def lines(gateway: Gateway, *documents: object) -> ClientResponse:
    return await send(gateway, "\n".join(map(json.dumps, documents)).encode())


def event(number: int, data: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "/shops/7",
        "type": "paid",
        "data": data,
    }


async def events(gateway: Gateway, *batch: object) -> ClientResponse:
    return await send(gateway, json.dumps(batch).encode(), media_type=EVENTS)


async def items_of(response: ClientResponse, *, status: int) -> list[dict[str, Any]]:
    assert response.status == status
    items: list[dict[str, Any]] = (await response.json())["items"]
    return items


async def problem_of(response: ClientResponse, *, status: int, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (status, f"urn:sluice:problem:{kind}")
    return document


def kinds(items: list[dict[str, Any]]) -> list[str | None]:
    """Give the kind of each item's problem."""
    return [
        item["problem"] and item["problem"]["type"].removeprefix("urn:sluice:problem:")
        for item in items
    ]


def started(gateway: Gateway) -> list[str]:
    """Give the ids that were written to the request topic."""
    return [each.key.run_id for each in gateway.requests()]


async def test_every_item_has_a_verdict_in_order(gateway: Gateway) -> None:
    response = await lines(
        gateway, {"id": "b", **GREET}, {"id": "a", **OTHER}, {"id": "c", "tenant": "acme", **GREET}
    )

    items = await items_of(response, status=200)
    assert [(item["status"], item["id"], item["tenant"], item["phase"]) for item in items] == [
        (202, "b", "default", "Accepted"),
        (202, "a", "default", "Accepted"),
        (202, "c", "acme", "Accepted"),
    ]
    assert items[2]["links"]["self"] == "/v1/runs/c?tenant=acme"
    assert sorted(started(gateway)) == ["a", "b", "c"]


async def test_an_item_without_an_id_gets_one(gateway: Gateway) -> None:
    items = await items_of(await lines(gateway, GREET, GREET), status=200)

    ids = [item["id"] for item in items]
    assert len(set(ids)) == 2
    assert sorted(started(gateway)) == sorted(ids)


async def test_an_id_that_was_made_for_an_item_is_not_looked_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    find = gateway.view.find

    async def noted(key: RunKey) -> RunState | None:
        looked_up.append(key.run_id)
        return await find(key)

    monkeypatch.setattr(gateway.view, "find", noted)
    items = await items_of(await lines(gateway, GREET, {"id": "a", **OTHER}), status=200)

    assert looked_up == ["a"]
    assert sorted(started(gateway)) == sorted(item["id"] for item in items)


async def test_events_name_their_runs_as_anywhere_else(gateway: Gateway) -> None:
    response = await events(
        gateway, event(1, GREET), event(2, {"id": "order-1", **GREET}), event(1, GREET)
    )

    items = await items_of(response, status=200)
    run_id = derive_run_id("/shops/7", "1")
    assert [(item["status"], item["id"]) for item in items] == [
        (202, run_id),
        (202, "order-1"),
        (200, run_id),
    ]
    assert sorted(started(gateway)) == sorted([run_id, "order-1"])


async def test_a_repeated_batch_starts_nothing(gateway: Gateway) -> None:
    batch = [{"id": "a", **GREET}, {"id": "b", **GREET}]
    await lines(gateway, *batch)
    [received, _] = gateway.requests()
    await gateway.publish(
        published(5, Phase.SUCCEEDED, run_id="a", fingerprint=received.request.fingerprint)
    )

    items = await items_of(await lines(gateway, *batch), status=200)

    assert [(item["status"], item["phase"]) for item in items] == [
        (200, "Succeeded"),
        (200, "Accepted"),
    ]
    assert len(started(gateway)) == 2


async def test_a_failure_is_never_hidden_behind_200(gateway: Gateway) -> None:
    response = await send(
        gateway,
        b"\n".join(
            [
                json.dumps({"id": "a", **GREET}).encode(),
                b"{",
                json.dumps({"id": "a", **OTHER}).encode(),
                json.dumps({"id": "b", "workflow": "no"}).encode(),
                json.dumps({"type": "stop", "id": "a"}).encode(),
                json.dumps({"id": "-", **GREET}).encode(),
                json.dumps({"id": "c", **GREET}).encode(),
            ]
        ),
    )

    items = await items_of(response, status=207)
    assert [item["status"] for item in items] == [202, 400, 409, 422, 422, 422, 202]
    assert kinds(items) == [
        None,
        "malformed-json",
        "id-conflict",
        "unknown-workflow",
        "invalid-request",
        "invalid-request",
        None,
    ]
    assert [item["id"] for item in items] == ["a", None, "a", "b", None, None, "c"]
    assert "Retry-After" not in response.headers
    assert sorted(started(gateway)) == ["a", "c"]


async def test_the_first_of_two_items_with_one_id_is_the_run(gateway: Gateway) -> None:
    for number in range(20):
        items = await items_of(
            await lines(gateway, {"id": f"r{number}", **GREET}, {"id": f"r{number}", **OTHER}),
            status=207,
        )
        assert [item["status"] for item in items] == [202, 409]
    assert {each.request.parameters["name"] for each in gateway.requests()} == {"Ada"}


async def test_events_that_are_none_are_named(gateway: Gateway) -> None:
    response = await events(gateway, event(1, GREET), 7, {"specversion": "1.0"}, event(2, None))

    items = await items_of(response, status=207)
    assert kinds(items) == [None, "malformed-event", "malformed-event", "invalid-request"]


@pytest.mark.parametrize("written", [True, False])
async def test_in_a_partial_outage_every_item_is_named(gateway: Gateway, written: bool) -> None:
    gateway.producer.fail_next_for_test(written=written, times=2)
    batch = [{"id": "a", **GREET}, GREET, {"id": "c", **GREET}, GREET]

    response = await lines(gateway, *batch)

    items = await items_of(response, status=207)
    assert all(item["id"] for item in items)
    failed = [item for item in items if item["status"] == 503]
    assert kinds(failed) == ["outcome-unknown"] * 2
    assert response.headers["Retry-After"] == "2"
    again = [{"id": item["id"], **GREET} for item in items]
    repeated = await items_of(await lines(gateway, *again), status=200)
    assert [item["id"] for item in repeated] == [item["id"] for item in items]
    assert set(started(gateway)) == {item["id"] for item in items}


async def test_blank_lines_are_not_items(gateway: Gateway) -> None:
    line = json.dumps({"id": "a", **GREET}).encode()

    items = await items_of(await send(gateway, b"\n\r\n" + line + b"\r\n \n\n"), status=200)

    assert len(items) == 1


@pytest.mark.parametrize(
    ("body", "media_type", "status", "kind"),
    [
        (b"", LINES, 422, "invalid-request"),
        (b"\n\n", LINES, 422, "invalid-request"),
        (b"[]", EVENTS, 422, "invalid-request"),
        (b"{}", EVENTS, 422, "invalid-request"),
        (b"[", EVENTS, 400, "malformed-json"),
        (b"{}\n" * 501, LINES, 413, "too-large"),
        (b"[" + b",".join([b"1"] * 501) + b"]", EVENTS, 413, "too-large"),
        (b"[[" + b",".join([b"1"] * MAX_VALUES) + b"]]", EVENTS, 413, "too-large"),
        ((b"[" + b"1," * 5000 + b"1]\n") * 5, LINES, 413, "too-large"),
    ],
)
async def test_what_is_not_a_batch_is_refused_as_a_whole(
    gateway: Gateway, body: bytes, media_type: str, status: int, kind: str
) -> None:
    response = await send(gateway, body, media_type=media_type)

    await problem_of(response, status=status, kind=kind)
    assert not gateway.requests()


async def test_the_data_of_all_events_have_one_bound(gateway: Gateway) -> None:
    data = json.dumps({**GREET, "labels": {}, "more": [1] * (MAX_VALUES // 3)}).encode()
    encoded = {**event(0, None), "data_base64": base64.b64encode(data).decode()}
    del encoded["data"]

    two = await items_of(await events(gateway, *[encoded] * 2), status=207)
    assert kinds(two) == ["invalid-request"] * 2
    response = await events(gateway, *[encoded] * 3)

    document = await problem_of(response, status=413, kind="too-large")
    assert "Send several batches" in document["detail"]


async def test_the_events_count_with_their_data(gateway: Gateway) -> None:
    data = json.dumps([1] * (MAX_VALUES // 2)).encode()
    encoded = {**event(0, None), "data_base64": base64.b64encode(data).decode()}
    del encoded["data"]

    response = await events(gateway, encoded, event(1, [1] * (MAX_VALUES // 2)))

    await problem_of(response, status=413, kind="too-large")


@pytest.mark.parametrize("media_type", ["application/json", "application/cloudevents+json"])
async def test_another_kind_of_body_is_refused(gateway: Gateway, media_type: str) -> None:
    response = await send(gateway, b"[]", media_type=media_type)

    await problem_of(response, status=415, kind="unsupported-media-type")


async def test_a_batch_is_one_request_in_flight(gateway: Gateway) -> None:
    async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
        group.create_task(lines(gateway, *[GREET] * 50))
        await gateway.producer.waiting_for_test(50)
        assert gateway.admission.in_flight == 1
    assert gateway.admission.bytes_held == 0


def calls_until_refused(body: bytes) -> list[int]:
    """Read the lines, and give the number of function calls in each step until they are refused."""
    steps, calls = line_batch([body]), list[int]()

    def count(_: FrameType, event: str, __: object) -> None:
        calls[-1] += event in {"call", "c_call"}

    def advance() -> None:
        calls.append(0)
        sys.setprofile(count)
        try:
            next(steps)
        finally:
            sys.setprofile(before)

    before = sys.getprofile()
    with suppress(ProblemError):
        while True:
            advance()
    return calls


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \n\t\n"])
def test_blank_lines_are_skipped_64_kib_a_step(blank: bytes) -> None:
    body = blank * (1_600_000 // len(blank))

    calls = calls_until_refused(body)

    assert len(calls) >= len(body) / (64 * 1024)
    assert max(calls[:-1]) < 20


@pytest.mark.parametrize("between", [b"\n", b"\n\n"])
def test_no_more_lines_are_read_than_are_allowed(between: bytes) -> None:
    calls = calls_until_refused((b"{}" + between) * 200_000)

    assert MAX_ITEMS <= len(calls) < MAX_ITEMS + 10
    assert max(calls[:-1]) < 20


async def test_lines_behind_many_blank_ones_are_found(gateway: Gateway) -> None:
    line = json.dumps({"id": "a", **GREET}).encode()
    blank = b" \n" * 100_000

    items = await items_of(await send(gateway, blank + line + blank + b"\n{}"), status=207)

    assert [item["id"] for item in items] == ["a", None]
