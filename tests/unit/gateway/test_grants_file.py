"""The file of grants."""

import pytest
from pydantic import JsonValue

from sluice_gateway.adapters.identity_files import read_grants
from sluice_gateway.domain.identity import Principal, PrincipalKind, Scope
from sluice_runtime.strict_yaml import FileError

GRANTS = b"""
grants:
  - principals: [api_key:ci, "user:*"]
    tenants: [acme]
    workflows: [hello, report]
    scopes: [runs:start, runs:read]
  - claims: {iss: https://issuer.example, "/kubernetes.io/namespace": ci}
    tenants: ["*"]
    workflows: ["*"]
    scopes: [runs:read]
"""


def allowed(principal: Principal, scope: Scope, *, tenant: str, workflow: str) -> bool:
    access = read_grants(GRANTS, source="grants.yaml").access_of(principal)
    return access.allows(scope, tenant=tenant, workflow=workflow)


@pytest.mark.parametrize(
    ("kind", "name", "tenant", "workflow", "scope", "is_allowed"),
    [
        (PrincipalKind.API_KEY, "ci", "acme", "hello", Scope.START, True),
        (PrincipalKind.API_KEY, "ci", "acme", "report", Scope.READ, True),
        (PrincipalKind.API_KEY, "ci", "acme", "hello", Scope.COMMAND, False),
        (PrincipalKind.API_KEY, "ci", "acme", "other", Scope.START, False),
        (PrincipalKind.API_KEY, "ci", "globex", "hello", Scope.START, False),
        (PrincipalKind.API_KEY, "cd", "acme", "hello", Scope.START, False),
        (PrincipalKind.USER, "ada", "acme", "hello", Scope.START, True),
        (PrincipalKind.SERVICE_ACCOUNT, "ci", "acme", "hello", Scope.START, False),
    ],
)
def test_a_principal_may_do_what_the_file_says(
    kind: PrincipalKind, name: str, tenant: str, workflow: str, scope: Scope, *, is_allowed: bool
) -> None:
    who = Principal(kind=kind, id=name)
    assert allowed(who, scope, tenant=tenant, workflow=workflow) == is_allowed


def test_claims_choose_as_well() -> None:
    claims: dict[str, JsonValue] = {
        "iss": "https://issuer.example",
        "kubernetes.io": {"namespace": "ci"},
    }
    who = Principal(kind=PrincipalKind.SERVICE_ACCOUNT, id="x", claims=claims)
    assert allowed(who, Scope.READ, tenant="any", workflow="any")
    other = Principal(
        kind=PrincipalKind.SERVICE_ACCOUNT, id="x", claims={**claims, "iss": "https://other"}
    )
    assert not allowed(other, Scope.READ, tenant="any", workflow="any")


REST = 'tenants: ["*"], workflows: ["*"], scopes: [runs:read]'


@pytest.mark.parametrize(
    ("grant", "message"),
    [
        (REST, "grants[0]: principals or claims must say who gets this."),
        (
            f"claims: {{repository_id: '1'}}, {REST}",
            "grants[0]: claims must have iss: another issuer could say the same of others.",
        ),
        (
            f"claims: {{iss: x, repository_id: 1}}, {REST}",
            "grants[0].claims.repository_id: Input should be a valid string.",
        ),
        (f"principals: [], {REST}", "grants[0].principals: "),
        (f"claims: {{}}, {REST}", "grants[0].claims: "),
        (f"principals: [ci], {REST}", "grants[0].principals[0]: must be kind:id or kind:*, and "),
        (f"principals: ['*'], {REST}", "grants[0].principals[0]: must be kind:id or kind:*, and "),
        (f"principals: ['anonymous:*'], {REST}", "grants[0].principals[0]: must be kind:id "),
        (f"principals: ['watch_link:*'], {REST}", "grants[0].principals[0]: must be kind:id "),
        (
            "principals: [user:a], tenants: ['*', acme], workflows: ['*'], scopes: [dlq]",
            "grants[0].tenants: * includes the others; leave them out.",
        ),
        (
            "principals: [user:a], tenants: [acme-*], workflows: ['*'], scopes: [dlq]",
            "grants[0].tenants[0]: must be * or a tenant: lower-case letters, digits and dashes.",
        ),
        (
            "principals: [user:a], tenants: [acme], workflows: ['*'], scopes: ['*']",
            "grants[0].scopes[0]: Input should be 'runs:start', ",
        ),
        (
            "principals: [user:a], tenants: [], workflows: ['*'], scopes: [dlq]",
            "grants[0].tenants: ",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(grant: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        read_grants(f"grants: [{{{grant}}}]".encode(), source="grants.yaml")
    assert str(raised.value).startswith(f"grants.yaml: {message}")


def test_a_file_without_grants_allows_nothing() -> None:
    grants = read_grants(b"grants: []", source="grants.yaml")
    access = grants.access_of(Principal(kind=PrincipalKind.USER, id="ada"))
    assert not any(access.allows_somewhere(scope) for scope in Scope)
