"""POST /v1/runs?validate_only=true."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import Phase
from tests.unit.gateway.harness import GREET, Gateway, published

OTHER = {"workflow": "greet", "parameters": {"name": "Bob"}}


async def preview(gateway: Gateway, document: object, **headers: str) -> ClientResponse:
    """Ask what would become of a request; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.client.post("/v1/runs?validate_only=true", json=document, headers=named)


async def document_of(response: ClientResponse) -> dict[str, Any]:
    assert response.status == 200
    document: dict[str, Any] = await response.json()
    return document


@pytest.fixture(autouse=True)
def nothing_is_written(gateway: Gateway) -> Iterator[None]:
    """Check that a preview leaves the topic and the view as they are."""
    yield
    for each in gateway.requests():
        assert each.key.run_id == "order-1"


async def test_a_free_id_would_start_a_run(gateway: Gateway) -> None:
    document = await document_of(await preview(gateway, {"id": "order-2", **GREET}))

    assert document == {
        "id": "order-2",
        "tenant": "default",
        "workflow": "greet",
        "workflow_name": workflow_name(RunKey("default", "order-2")),
        "id_use": "free",
        "phase": None,
        "links": None,
    }
    assert (await gateway.client.get("/v1/runs/order-2")).status == 404


async def test_without_an_id_a_new_one_would_be_made(gateway: Gateway) -> None:
    document = await document_of(await preview(gateway, GREET))

    assert (document["id"], document["workflow_name"], document["id_use"]) == (None, None, None)


async def test_the_key_is_the_id(gateway: Gateway) -> None:
    document = await document_of(await preview(gateway, GREET, Idempotency_Key="order-2"))

    assert document["id"] == "order-2"


@pytest.mark.parametrize(("asked", "use"), [(GREET, "same-content"), (OTHER, "other-content")])
async def test_a_spent_id_is_that_of_its_run(
    gateway: Gateway, asked: dict[str, Any], use: str
) -> None:
    await gateway.post({"id": "order-1", **GREET})
    [received] = gateway.requests()
    await gateway.publish(published(5, Phase.FAILED, fingerprint=received.request.fingerprint))

    document = await document_of(await preview(gateway, {"id": "order-1", **asked}))

    assert (document["id_use"], document["phase"]) == (use, "Failed")
    assert document["links"]["self"] == "/v1/runs/order-1"
    assert len(gateway.requests()) == 1


@pytest.mark.parametrize(("asked", "use"), [(GREET, "same-content"), (OTHER, "other-content")])
async def test_an_id_on_its_way_to_kafka_is_spent(
    gateway: Gateway, asked: dict[str, Any], use: str
) -> None:
    async with asyncio.TaskGroup() as group, gateway.producer.hold_for_test():
        group.create_task(gateway.post({"id": "order-1", **GREET}))
        await gateway.producer.waiting_for_test(1)
        document = await document_of(await preview(gateway, {"id": "order-1", **asked}))

        assert document["id_use"] == use


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"workflow": "no"}, "unknown-workflow"),
        ({"workflow": "greet"}, "invalid-parameters"),
        ({"id": "order-2", **GREET, "expires_at": "2020-01-01T00:00:00Z"}, "expired"),
        ({"id": "order-2", **GREET, "extra": 1}, "invalid-request"),
    ],
)
async def test_what_is_not_valid_is_a_problem_as_usual(
    gateway: Gateway, document: object, kind: str
) -> None:
    response = await preview(gateway, document)

    assert response.status == 422
    assert (await response.json(content_type=None))["type"] == f"urn:sluice:problem:{kind}"


async def test_an_accepted_run_would_be_replayed_though_it_would_be_refused_now(
    gateway: Gateway,
) -> None:
    await gateway.post({"id": "order-1", **GREET})
    past = {"id": "order-1", **GREET, "expires_at": "2020-01-01T00:00:00Z"}

    assert (await document_of(await preview(gateway, past)))["id_use"] == "same-content"


async def test_a_view_that_is_behind_calls_no_id_free(gateway: Gateway) -> None:
    gateway.behind.append("the topics could not be read to their end")

    response = await preview(gateway, {"id": "order-2", **GREET})

    assert response.status == 503
    assert response.headers["Retry-After"]


@pytest.mark.parametrize("value", ["", "1", "yes", "True"])
async def test_it_is_true_or_false(gateway: Gateway, value: str) -> None:
    response = await gateway.client.post(
        "/v1/runs", params={"validate_only": value}, json={"id": "order-1", **GREET}
    )

    assert response.status == 422
    assert not gateway.requests()


async def test_false_starts_the_run(gateway: Gateway) -> None:
    response = await gateway.client.post(
        "/v1/runs?validate_only=false", json={"id": "order-1", **GREET}
    )

    assert response.status == 202
