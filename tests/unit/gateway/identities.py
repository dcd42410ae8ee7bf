"""Principals whose tokens are their names, and a gateway that knows them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sluice_gateway.domain.identity import Grant, Grants, Principal, PrincipalKind, Scope
from sluice_gateway.domain.reach import Area
from sluice_gateway.identity_ports import Credentials, UnauthenticatedError
from sluice_gateway.services.identification import GrantedIdentification
from tests.unit.gateway.harness import Gateway, running_gateway

__all__ = ["FakeAuthenticator", "as_", "grant", "granting_gateway"]


class FakeAuthenticator:
    """Believes every token but `unknown`: its text is the name of an API key's principal."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return the principal that the token names."""
        if credentials.value == "unknown":
            raise UnauthenticatedError("unknown token")
        return Principal(kind=PrincipalKind.API_KEY, id=credentials.value)


def grant(
    name: str,
    *scopes: Scope,
    tenants: tuple[str, ...] = ("*",),
    workflows: tuple[str, ...] = ("*",),
) -> Grant:
    """Give the principal of that name the scopes."""
    return Grant(
        area=Area(tenants=frozenset(tenants), workflows=frozenset(workflows)),
        scopes=frozenset(scopes),
        principals=frozenset({f"api_key:{name}"}),
    )


def as_(name: str) -> Mapping[str, str]:
    """Give the headers of the principal's requests."""
    return {"Authorization": f"Bearer {name}"}


@asynccontextmanager
async def granting_gateway(folder: Path, *grants: Grant, **options: Any) -> AsyncIterator[Gateway]:
    """Run a gateway with these grants."""
    identification = GrantedIdentification(FakeAuthenticator(), grants=lambda: Grants(grants))
    async with running_gateway(folder, identification=identification, **options) as gateway:
        yield gateway
