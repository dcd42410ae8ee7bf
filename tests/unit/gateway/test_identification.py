"""Which principals get in at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice_contracts.ids import RunKey
from sluice_gateway.domain.identity import Grants, Principal, PrincipalKind, Scope, WatchedRun
from sluice_gateway.handlers.operations import Operation
from sluice_gateway.handlers.table import OPERATIONS
from sluice_gateway.identity_ports import Credentials
from sluice_gateway.services.identification import GrantedIdentification
from tests.unit.gateway.harness import Gateway, running_gateway
from tests.unit.gateway.identities import as_, grant, granting_gateway
from tests.unit.gateway.test_operations import address, each_operation

PUBLIC = {"getIndex", "getOpenapi", "getAsyncapi", "getDocs", "getDocsFile"}


@pytest.fixture
async def granting(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with granting_gateway(
        tmp_path,
        *(grant(scope.value, scope) for scope in Scope),
        grant("nowhere", *Scope, tenants=()),
    ) as gateway:
        yield gateway


def test_what_is_public_is_listed_here() -> None:
    assert {each.id for each in OPERATIONS if not each.scopes} == PUBLIC


@each_operation()
class TestEveryOperation:
    async def test_nobody_gets_in_without_credentials(
        self, granting: Gateway, operation: Operation
    ) -> None:
        response = await granting.client.request(operation.method, address(operation.path))

        if operation.id in PUBLIC:
            assert response.status == 200
            assert "Authorization" not in response.headers.get("Vary", "")
            return
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.content_type == "application/problem+json"
        assert (await response.json(content_type=None))["type"].endswith(":unauthenticated")
        assert "Authorization" in response.headers["Vary"]

    @pytest.mark.parametrize("scope", [*Scope, None])
    async def test_a_scope_of_the_operation_opens_it(
        self, granting: Gateway, operation: Operation, scope: Scope | None
    ) -> None:
        response = await granting.client.request(
            operation.method, address(operation.path), headers=as_(scope or "nowhere"), data=b"{"
        )

        may_call = operation.id in PUBLIC or scope in operation.scopes
        assert (response.status == 403) != may_call
        if not may_call:
            problem = await response.json(content_type=None)
            assert problem["type"].endswith(":forbidden")
            assert f"api_key:{scope or 'nowhere'}" in problem["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer unknown")],
        [("Authorization", "Basic cnVuczpyZWFk")],
        [("Authorization", "runs:read")],
        [("Authorization", "")],
        [("Authorization", "Bearer runs:read"), ("Authorization", "Bearer runs:read")],
        [("X-Api-Key", "runs:read")],
    ],
)
async def test_credentials_that_prove_nothing_have_one_answer(
    granting: Gateway, headers: list[tuple[str, str]]
) -> None:
    without = await (await granting.client.get("/v1/runs")).json(content_type=None)
    response = await granting.client.get("/v1/runs", headers=headers)

    assert response.status == 401
    answer = await response.json(content_type=None)
    assert {**answer, "trace_id": None} == {**without, "trace_id": None}


@pytest.mark.parametrize("query", ["?token=runs:read", "?access_token=runs:read"])
async def test_a_token_in_a_url_does_not_count(granting: Gateway, query: str) -> None:
    assert (await granting.client.get(f"/v1/runs{query}")).status == 401


@pytest.mark.parametrize("written", ["bearer runs:read", "BEARER  runs:read ", "Bearer runs:read"])
async def test_the_scheme_is_written_in_any_case(granting: Gateway, written: str) -> None:
    response = await granting.client.get("/v1/runs", headers={"Authorization": written})

    assert response.status == 200


@each_operation()
async def test_a_watch_link_opens_what_takes_it(tmp_path: Path, operation: Operation) -> None:
    key = RunKey("default", "order-1")

    class WatchLinks:
        async def authenticate(self, _: Credentials) -> Principal:
            watched = WatchedRun(key=key, workflow="greet", payloads=True)
            return Principal(kind=PrincipalKind.WATCH_LINK, id=str(key), watched=watched)

    identification = GrantedIdentification(WatchLinks(), grants=Grants)
    async with running_gateway(tmp_path, identification=identification) as gateway:
        response = await gateway.client.request(
            operation.method, address(operation.path), headers=as_("any"), data=b"{"
        )
        may_call = operation.id in PUBLIC or operation.takes_watch_links
        assert (response.status == 403) != may_call
