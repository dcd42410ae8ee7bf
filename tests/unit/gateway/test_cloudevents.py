"""CloudEvents at POST /v1/runs: the same event is the same run, over HTTP and on Kafka."""

import base64
import json
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.ids import derive_run_id
from sluice_contracts.records import Headers, IncomingRecord, Position
from sluice_contracts.request_codec import decode_request
from tests.unit.gateway.harness import GREET, TOPICS, Gateway

SOURCE, EVENT = "/shops/7", "order-4711/paid"
RUN_ID = derive_run_id(SOURCE, EVENT)
ATTRIBUTES = {"specversion": "1.0", "id": EVENT, "source": SOURCE, "type": "order.paid"}
BINARY = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}


async def structured(gateway: Gateway, event: object, **headers: str) -> ClientResponse:
    return await gateway.client.post(
        "/v1/runs",
        data=json.dumps(event).encode(),
        headers={"Content-Type": "application/cloudevents+json; charset=utf-8", **headers},
    )


async def binary(gateway: Gateway, document: object, **changes: str) -> ClientResponse:
    headers = BINARY | {name.replace("_", "-"): value for name, value in changes.items()}
    return await gateway.client.post("/v1/runs", json=document, headers=headers)


async def problem_of(response: ClientResponse, *, status: int, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (status, f"urn:sluice:problem:{kind}")
    return document


def on_kafka(value: object, headers: Headers) -> str:
    """Give the id of the run that the same event starts as a record."""
    received = decode_request(
        IncomingRecord(
            position=Position(TOPICS.requests, 0, 0),
            timestamp_ms=0,
            key=None,
            value=json.dumps(value).encode(),
            headers=headers,
        )
    )
    return received.key.run_id


async def test_source_and_id_name_the_run_in_every_mode_and_on_kafka(gateway: Gateway) -> None:
    event = {**ATTRIBUTES, "data": GREET}
    first = await structured(gateway, event)
    second = await binary(gateway, GREET)

    assert (first.status, (await first.json())["id"]) == (202, RUN_ID)
    assert (second.status, (await second.json())["run_id"]) == (200, RUN_ID)
    assert on_kafka(event, (("content-type", b"application/cloudevents+json"),)) == RUN_ID
    attributes = tuple((f"ce_{name}", value.encode()) for name, value in ATTRIBUTES.items())
    assert on_kafka(GREET, attributes) == RUN_ID
    assert [each.key.run_id for each in gateway.requests()] == [RUN_ID]


async def test_data_may_be_base64(gateway: Gateway) -> None:
    encoded = base64.b64encode(json.dumps(GREET).encode()).decode()

    response = await structured(gateway, {**ATTRIBUTES, "data_base64": encoded})

    assert (response.status, (await response.json())["id"]) == (202, RUN_ID)


async def test_an_id_of_the_request_or_its_header_comes_first(gateway: Gateway) -> None:
    event = {**ATTRIBUTES, "data": {"id": "order-1", **GREET}}
    by_document = await structured(gateway, event)
    by_header = await structured(
        gateway, {**ATTRIBUTES, "data": GREET}, **{"Idempotency-Key": "order-2"}
    )

    assert (await by_document.json())["id"] == "order-1"
    assert (await by_header.json())["id"] == "order-2"


async def test_the_same_event_with_other_content_is_a_conflict(gateway: Gateway) -> None:
    await binary(gateway, GREET)

    refused = await binary(gateway, {"workflow": "greet", "parameters": {"name": "Bob"}})

    await problem_of(refused, status=409, kind="id-conflict")
    assert len(gateway.requests()) == 1


async def test_headers_are_percent_encoded(gateway: Gateway) -> None:
    response = await binary(gateway, GREET, ce_source="/caf%C3%A9%20%22x%22", ce_id='"a%2Fb"')

    assert (await response.json())["id"] == derive_run_id('/café "x"', "a/b")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ce_specversion": "0.3"}, "specversion"),
        ({"ce_id": ""}, "'id'"),
        ({"ce_source": "%00"}, "'source'"),
        ({"ce_source": "%C3"}, "'source'"),
        ({"ce_type": " "}, "'type'"),
    ],
)
async def test_an_event_without_its_attributes_is_malformed(
    gateway: Gateway, changes: dict[str, str], named: str
) -> None:
    response = await binary(gateway, GREET, **changes)

    document = await problem_of(response, status=400, kind="malformed-event")
    assert named in document["detail"]
    assert not gateway.requests()


async def test_an_attribute_given_twice_is_none(gateway: Gateway) -> None:
    headers = [*BINARY.items(), ("ce-id", "another")]
    response = await gateway.client.post("/v1/runs", json=GREET, headers=headers)

    await problem_of(response, status=400, kind="malformed-event")


@pytest.mark.parametrize(
    "event",
    [
        [],
        {**ATTRIBUTES},
        {**ATTRIBUTES, "id": 7, "data": GREET},
        {**ATTRIBUTES, "data": GREET, "data_base64": "e30="},
        {**ATTRIBUTES, "data_base64": "no"},
    ],
)
async def test_a_structured_event_that_is_none_is_malformed(
    gateway: Gateway, event: object
) -> None:
    await problem_of(await structured(gateway, event), status=400, kind="malformed-event")
    assert not gateway.requests()


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        ({"workflow": "greet", "extra": 1}, 422, "invalid-request"),
        ({"type": "stop", "id": "order-1"}, 422, "invalid-request"),
        ({"workflow": "no"}, 422, "unknown-workflow"),
        (None, 422, "invalid-request"),
    ],
)
async def test_the_data_of_an_event_are_checked_as_a_body_is(
    gateway: Gateway, data: object, status: int, kind: str
) -> None:
    await problem_of(
        await structured(gateway, {**ATTRIBUTES, "data": data}), status=status, kind=kind
    )


async def test_base64_hides_nothing(gateway: Gateway) -> None:
    encoded = base64.b64encode(b'{"workflow": "greet", "workflow": "greet"}').decode()

    response = await structured(gateway, {**ATTRIBUTES, "data_base64": encoded})

    await problem_of(response, status=400, kind="malformed-json")


async def test_other_headers_do_not_make_an_event(gateway: Gateway) -> None:
    response = await gateway.client.post(
        "/v1/runs", json=GREET, headers={"ce-id": EVENT, "ce-source": SOURCE}
    )

    assert (await response.json())["id"] != RUN_ID


async def test_a_batch_goes_elsewhere(gateway: Gateway) -> None:
    response = await gateway.client.post(
        "/v1/runs",
        data=b"[]",
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )

    await problem_of(response, status=415, kind="unsupported-media-type")
