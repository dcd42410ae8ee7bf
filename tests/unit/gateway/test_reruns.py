"""POST /v1/runs/{id}/rerun."""

from typing import Any

import pytest
from aiohttp import ClientResponse

from sluice_contracts.status import Phase
from tests.unit.gateway.harness import GREET, Gateway, published


async def rerun(
    gateway: Gateway, document: object | None = None, *, run: str = "order-1", **headers: str
) -> ClientResponse:
    """Run order-1 again; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.client.post(f"/v1/runs/{run}/rerun", json=document, headers=named)


async def problem_of(response: ClientResponse, *, status: int, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (status, f"urn:sluice:problem:{kind}")
    return document


@pytest.fixture(autouse=True)
async def run(gateway: Gateway) -> None:
    """Start run order-1."""
    await gateway.post(
        {
            "id": "order-1",
            **GREET,
            "labels": {"team": "x", "env": "dev"},
            "priority": "high",
            "parent": "order-0",
            "expires_at": "2100-01-01T00:00:00Z",
        }
    )


async def test_without_a_body_it_is_the_same_under_a_new_id(gateway: Gateway) -> None:
    response = await gateway.client.post("/v1/runs/order-1/rerun")

    assert response.status == 202
    document = await response.json()
    assert document["id"] != "order-1"
    assert response.headers["Location"] == f"/v1/runs/{document['id']}"
    first, second = (each.request for each in gateway.requests())
    assert second.id == document["id"]
    assert second.parent == "order-1"
    assert second.fingerprint == first.fingerprint
    assert (second.labels, second.priority) == (first.labels, first.priority)
    assert second.expires_at is None


async def test_changes_replace_what_has_the_same_name(gateway: Gateway) -> None:
    response = await rerun(
        gateway,
        {
            "id": "order-2",
            "parameters": {"times": 3},
            "labels": {"env": "live"},
            "priority": "low",
            "expires_at": "2099-01-01T00:00:00Z",
        },
    )

    assert (await response.json())["id"] == "order-2"
    request = gateway.requests()[-1].request
    assert request.parameters == {"name": "Ada", "times": 3}
    assert request.labels == {"team": "x", "env": "live"}
    assert request.priority == "low"
    assert request.expires_at is not None


async def test_the_key_is_the_id_and_a_repetition_the_same_run(gateway: Gateway) -> None:
    first = await rerun(gateway, Idempotency_Key="order-2")
    second = await rerun(gateway, Idempotency_Key="order-2")
    other = await rerun(gateway, {"parameters": {"times": 2}}, Idempotency_Key="order-2")

    assert (first.status, second.status) == (202, 200)
    assert second.headers["Idempotency-Replayed"] == "true"
    await problem_of(other, status=422, kind="idempotency-key-reused")
    assert len(gateway.requests()) == 2


async def test_a_tenant_stays_the_same(gateway: Gateway) -> None:
    await gateway.post({"id": "order-1", "tenant": "acme", **GREET})
    response = await gateway.client.post("/v1/runs/order-1/rerun?tenant=acme")

    assert (await response.json())["tenant"] == "acme"
    assert gateway.requests()[-1].request.parent == "order-1"


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"id": "order-1"}, "/id"),
        ({"id": "-"}, "/id"),
        ({"workflow": "hello"}, "/workflow"),
        ({"parent": "order-0"}, "/parent"),
        ({"labels": {f"l{n}": "x" for n in range(15)}}, "/labels"),
        ({"priority": "urgent"}, "/priority"),
        ([], ""),
    ],
)
async def test_what_makes_no_request_is_refused(
    gateway: Gateway, document: object, pointer: str
) -> None:
    problem = await problem_of(await rerun(gateway, document), status=422, kind="invalid-request")

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert len(gateway.requests()) == 1


async def test_changed_parameters_are_validated(gateway: Gateway) -> None:
    response = await rerun(gateway, {"parameters": {"times": "often"}})

    await problem_of(response, status=422, kind="invalid-parameters")


async def test_without_its_parameters_a_run_cannot_be_run_again(gateway: Gateway) -> None:
    await gateway.publish(published(5, Phase.FAILED, run_id="order-2"))

    problem = await problem_of(
        await rerun(gateway, run="order-2"), status=409, kind="not-applicable"
    )

    assert "'order-2'" in problem["detail"]


async def test_an_unknown_run_is_404(gateway: Gateway) -> None:
    await problem_of(await rerun(gateway, run="order-2"), status=404, kind="unknown-run")


async def test_the_state_shows_what_was_asked_for(gateway: Gateway) -> None:
    state = await (await gateway.client.get("/v1/runs/order-1")).json()

    assert state["parameters"] == {"name": "Ada"}
    assert state["labels"] == {"team": "x", "env": "dev"}
    assert (state["priority"], state["parent"]) == ("high", "order-0")
