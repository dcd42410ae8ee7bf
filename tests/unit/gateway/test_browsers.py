"""What browsers may do: with a cookie, for a page of another site, and without any credentials."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.domain.identity import EVERYTHING, Identity, Principal, PrincipalKind
from sluice_gateway.handlers.operations import Operation
from sluice_gateway.handlers.table import OPERATIONS
from sluice_gateway.identity_ports import CredentialKind, Credentials, UnauthenticatedError
from tests.unit.gateway.harness import GREET, Gateway, published, running_gateway
from tests.unit.gateway.test_operations import address, each_operation

OURS = "https://runs.example.com"
OTHER = "https://dashboard.example.net"
COOKIE = {"Cookie": "__Host-sluice=ada"}
BEARER = {"Authorization": "Bearer ada"}
FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}
FROM_ANOTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}


class FakeIdentification:
    """Lets `ada` do everything, by a cookie or by a token, and nobody else."""

    async def identify(self, credentials: Credentials | None) -> Identity:
        if credentials is None or credentials.value != "ada":
            raise UnauthenticatedError("nobody")
        if credentials.kind not in (CredentialKind.SESSION, CredentialKind.BEARER):
            raise UnauthenticatedError("neither")
        return Identity(
            principal=Principal(kind=PrincipalKind.USER, id=credentials.value), access=EVERYTHING
        )


@pytest.fixture
async def protected(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(
        tmp_path,
        identification=FakeIdentification(),
        browser_access=BrowserAccess(public_origin=OURS),
    ) as gateway:
        yield gateway


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(
        tmp_path, browser_access=BrowserAccess(other_origins=frozenset({OTHER}))
    ) as gateway:
        yield gateway


async def started(gateway: Gateway, headers: Mapping[str, str]) -> int:
    """POST a run and give the status; what is refused writes nothing."""
    response = await gateway.client.post("/v1/runs", json=GREET, headers=headers)
    assert len(gateway.requests()) == (1 if response.status == 202 else 0)
    if response.status == 403:
        assert (await response.json(content_type=None))["type"].endswith(":forbidden")
    return response.status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (COOKIE | FROM_OUR_PAGE, 202),
        (COOKIE | {"Origin": OURS}, 202),
        (COOKIE | FROM_ANOTHER_SITE, 403),
        (COOKIE | {"Sec-Fetch-Site": "same-site"}, 403),
        (COOKIE | {"Sec-Fetch-Site": "none"}, 403),
        (COOKIE | {"Sec-Fetch-Site": "cross-site", "Origin": OURS}, 403),
        (COOKIE | {"Origin": OTHER}, 403),
        (COOKIE | {"Origin": "null"}, 403),
        (COOKIE, 403),
        (BEARER, 202),
        (BEARER | FROM_ANOTHER_SITE, 202),
        (BEARER | COOKIE | FROM_ANOTHER_SITE, 202),
        # A token that is wrong is not made good by a cookie.
        ({"Authorization": "Bearer eve"} | COOKIE | FROM_OUR_PAGE, 401),
        ({"Cookie": "__Host-sluice=eve"} | FROM_OUR_PAGE, 401),
        ({"Cookie": "sluice=ada"} | FROM_OUR_PAGE, 401),
        ({"Cookie": "__Host-sluice="} | FROM_OUR_PAGE, 401),
    ],
)
async def test_a_cookie_changes_something_from_our_page_only(
    protected: Gateway, headers: Mapping[str, str], status: int
) -> None:
    assert await started(protected, headers) == status


@each_operation("POST")
async def test_no_operation_takes_a_cookie_from_another_site(
    protected: Gateway, operation: Operation
) -> None:
    response = await protected.client.post(
        address(operation.path), headers=COOKIE | FROM_ANOTHER_SITE
    )
    assert response.status == 403
    assert not protected.producer.records_for_test("sluice.requests")


@each_operation("GET")
async def test_reading_with_a_cookie_is_not_asked_where_it_comes_from(
    protected: Gateway, operation: Operation
) -> None:
    response = await protected.client.head(
        address(operation.path), headers=COOKIE | FROM_ANOTHER_SITE
    )
    assert response.status != 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        (FROM_OUR_PAGE, 202),
        ({"Sec-Fetch-Site": "none"}, 202),
        (FROM_ANOTHER_SITE, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, 403),
        ({"Origin": OTHER}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_without_identities_no_page_of_another_site_starts_a_run(
    gateway: Gateway, headers: Mapping[str, str], status: int
) -> None:
    assert await started(gateway, headers) == status


async def test_without_identities_no_page_of_another_site_stops_a_run(gateway: Gateway) -> None:
    await gateway.publish(published(1))
    # A form needs nobody's leave to send this.
    response = await gateway.client.post("/v1/runs/order-1/stop", headers=FROM_ANOTHER_SITE)
    assert response.status == 403
    assert (await gateway.client.post("/v1/runs/order-1/stop")).status == 202


async def test_other_origins_are_not_let_in_unless_they_are_named(gateway: Gateway) -> None:
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": OTHER, "Access-Control-Request-Method": "POST"}
        response = await gateway.client.request(method, "/v1/runs", headers=headers)
        assert not [name for name in response.headers if name.startswith("Access-Control")]
        assert "Origin" not in response.headers.get("Vary", "")


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/unknown", "/nothing", "/v1/runs?limit=x"])
async def test_a_named_origin_may_read_every_answer(shared: Gateway, path: str) -> None:
    response = await shared.client.get(path, headers={"Origin": OTHER})
    assert response.headers["Access-Control-Allow-Origin"] == OTHER
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    assert "Origin" in response.headers["Vary"]
    # With a cookie of ours it would be another's page that acts for a person.
    assert "Access-Control-Allow-Credentials" not in response.headers


async def test_a_named_origin_may_start_a_run(shared: Gateway) -> None:
    preflight = await shared.client.options(
        "/v1/runs", headers={"Origin": OTHER, "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status == 204
    methods = preflight.headers["Access-Control-Allow-Methods"].split(", ")
    assert {each.method for each in OPERATIONS} <= set(methods)
    names = preflight.headers["Access-Control-Allow-Headers"].lower().split(", ")
    declared = {header.name.lower() for each in OPERATIONS for header in each.headers}
    assert declared | {"authorization", "content-type", "traceparent"} == set(names)
    assert await started(shared, FROM_ANOTHER_SITE) == 202


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", f"{OTHER}.evil.example", f"{OTHER}:444", "null", OTHER.upper()],
)
async def test_another_origin_may_not(shared: Gateway, origin: str) -> None:
    response = await shared.client.get("/v1/runs", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in response.headers
    # A cache must not give this answer to a page that may read it.
    assert "Origin" in response.headers["Vary"]
    assert await started(shared, {"Origin": origin}) == 403


@each_operation()
async def test_no_answer_can_be_loaded_as_a_part_of_another_page(
    gateway: Gateway, operation: Operation
) -> None:
    method = "HEAD" if operation.method == "GET" else operation.method
    response = await gateway.client.request(method, address(operation.path))
    assert response.headers.getall("Cross-Origin-Resource-Policy") == ["same-origin"]
    assert response.headers.getall("X-Content-Type-Options") == ["nosniff"]
    assert response.headers.getall("Referrer-Policy") == ["no-referrer"]
