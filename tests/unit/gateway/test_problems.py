"""Whatever goes wrong, the answer is a problem document."""

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sluice_contracts.problems import Problem
from sluice_gateway.handlers.middleware import problem_responses, set_headers, trace_requests
from tests.unit.gateway.harness import TRACE, TRACEPARENT, Gateway


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/nope", 404, "not-found"),
        ("GET", "/v1/runs/", 404, "not-found"),
        ("PUT", "/v1/runs", 405, "method-not-allowed"),
        ("DELETE", "/v1/runs/order-1", 405, "method-not-allowed"),
        ("HEAD", "/v1/runs/order-1/events", 404, "unknown-run"),
        ("POST", "/v1/workflows", 405, "method-not-allowed"),
    ],
)
async def test_the_routers_refusals(
    gateway: Gateway, method: str, path: str, status: int, kind: str
) -> None:
    response = await gateway.client.request(method, path, headers={"traceparent": TRACEPARENT})

    assert response.status == status
    assert response.content_type == "application/problem+json"
    if method != "HEAD":
        document = Problem.model_validate(await response.json(content_type=None))
        assert document.type == f"urn:sluice:problem:{kind}"
        assert (document.status, document.instance, document.trace_id) == (status, path, TRACE)
    assert ("Allow" in response.headers) == (status == 405)


async def test_an_expectation_that_nobody_knows_fails(gateway: Gateway) -> None:
    response = await gateway.client.get("/v1/workflows", headers={"Expect": "miracles"})

    assert response.status == 417


async def test_counts_are_by_route_never_by_path(gateway: Gateway) -> None:
    await gateway.client.get("/v1/runs/order-1")
    await gateway.client.get("/v1/runs/order-2")
    await gateway.client.get("/made/up")

    name = "sluice_gateway_requests_total"
    assert gateway.metric(name, method="GET", route="/v1/runs/{id}", status="404") == 2
    assert gateway.metric(name, method="GET", route="none", status="404") == 1


async def raise_secret(_: web.Request) -> web.Response:
    raise RuntimeError("a secret")


async def test_an_internal_error_is_reported_without_its_details() -> None:
    app = web.Application(middlewares=[trace_requests, problem_responses])
    app.on_response_prepare.append(set_headers)
    app.router.add_get("/", raise_secret)
    async with TestClient(TestServer(app)) as client:
        with structlog.testing.capture_logs() as logs:
            response = await client.get("/")
        assert response.status == 500
        assert "secret" not in await response.text()
        document = await response.json(content_type="application/problem+json")
        assert document["type"] == "urn:sluice:problem:internal"
        assert document["trace_id"] == response.headers["traceparent"].split("-")[1]
        assert [log["event"] for log in logs] == ["request failed"]


async def leave(_: web.Request) -> web.Response:
    raise ConnectionResetError


async def test_a_client_that_left_is_not_an_internal_error() -> None:
    app = web.Application(middlewares=[trace_requests, problem_responses])
    app.router.add_get("/", leave)
    async with TestClient(TestServer(app)) as client:
        with structlog.testing.capture_logs() as logs:
            assert (await client.get("/")).status == 499
        assert logs == []
