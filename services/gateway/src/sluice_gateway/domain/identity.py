"""Who asks, and what they may do; pure.

A principal has what the grants for it add up to, and nothing without one. More grants never allow
less: there is no grant that forbids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import JsonValue

from sluice_contracts.auth_context import Author, AuthorType
from sluice_contracts.ids import RunKey
from sluice_gateway.domain.reach import ANY, Area, Reach

__all__ = [
    "EVERYTHING",
    "Access",
    "Grant",
    "Grants",
    "Identity",
    "Principal",
    "PrincipalKind",
    "Scope",
    "WatchedRun",
    "claim",
]

_MOST_KNOWN: Final = 1024


class Scope(StrEnum):
    """What a principal may do to runs; no scope includes another."""

    START = "runs:start"
    READ = "runs:read"
    PAYLOADS = "payloads:read"
    """To see parameters, inputs, outputs and messages of runs that may be read."""
    COMMAND = "runs:command"
    DLQ = "dlq"
    ADMIN = "admin"
    """To pause, drain and resume a workflow or a tenant."""


class PrincipalKind(StrEnum):
    """How a principal proves who it is."""

    API_KEY = "api_key"
    SERVICE_ACCOUNT = "service_account"
    """A token that Kubernetes has issued."""
    WORKLOAD = "workload"
    """A token of another issuer for machines."""
    USER = "user"
    """A person who has signed in."""
    WATCH_LINK = "watch_link"
    ANONYMOUS = "anonymous"
    """Anybody, where identities are switched off."""


_AUTHOR_TYPES: Final[Mapping[PrincipalKind, AuthorType]] = {
    PrincipalKind.API_KEY: "api_key",
    PrincipalKind.SERVICE_ACCOUNT: "service_account",
    PrincipalKind.WORKLOAD: "system",
    PrincipalKind.USER: "user",
    PrincipalKind.WATCH_LINK: "unauthenticated",
    PrincipalKind.ANONYMOUS: "unauthenticated",
}


@dataclass(frozen=True, kw_only=True)
class WatchedRun:
    """The one run that a watch link shows, and whether it shows the run's payloads as well.

    A run of another workflow under the same id is not shown.
    """

    key: RunKey
    workflow: str
    payloads: bool


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks; `str()` of it is what logs and records say.

    `claims` are what the issuer of a token says about it. `watched` is that of a watch link.
    """

    kind: PrincipalKind
    id: str
    claims: Mapping[str, JsonValue] = field(default_factory=dict, hash=False, repr=False)
    watched: WatchedRun | None = None

    def __str__(self) -> str:
        """Return `kind:id`."""
        return f"{self.kind}:{self.id}"

    def author(self) -> Author:
        """Return who asked, as records say it."""
        author_type = _AUTHOR_TYPES[self.kind]
        return Author(type=author_type, id=None if author_type == "unauthenticated" else str(self))


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Gives scopes in an area to each principal that it names and whose claims are these.

    `principals` are `kind:id` or `kind:*`; without one, claims alone choose. `claims` have the name
    of a claim or, with a slash in front, a JSON Pointer into the claims (RFC 6901).
    """

    area: Area
    scopes: frozenset[Scope]
    principals: frozenset[str] = frozenset()
    claims: frozenset[tuple[str, str]] = frozenset()

    def is_for(self, principal: Principal) -> bool:
        """Return whether the principal gets it. A grant that names nobody is for nobody."""
        if not self.principals and not self.claims:
            return False
        named = {str(principal), f"{principal.kind}:{ANY}"}
        if self.principals and self.principals.isdisjoint(named):
            return False
        return all(_holds(claim(principal.claims, name), text) for name, text in self.claims)


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one principal may do. `run` is the only run that it may do it to, if it is not None."""

    grants: frozenset[Grant] = frozenset()
    run: RunKey | None = None
    # A request asks several times, and equal accesses reach as far.
    _reaches: dict[Scope, Reach] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def allows(self, scope: Scope, *, tenant: str, workflow: str | None) -> bool:
        """Return whether the scope is allowed for runs of the workflow and tenant."""
        return self.run is None and self.reach(scope).has(tenant=tenant, workflow=workflow)

    def allows_for_run(self, scope: Scope, key: RunKey, *, workflow: str | None) -> bool:
        """Return whether the scope is allowed for this run."""
        if self.run is not None and self.run != key:
            return False
        return self.reach(scope).has(tenant=key.tenant, workflow=workflow)

    def could_allow(self, scope: Scope, key: RunKey) -> bool:
        """Return whether the scope is allowed for this run if its workflow is the right one."""
        if self.run is not None and self.run != key:
            return False
        return self.reach(scope).has_tenant(key.tenant)

    def allows_somewhere(self, scope: Scope) -> bool:
        """Return whether the scope is allowed for any run at all."""
        return bool(self.reach(scope))

    def reach(self, scope: Scope) -> Reach:
        """Return where the scope is allowed."""
        found = self._reaches.get(scope)
        if found is None:
            found = Reach.of(each.area for each in self.grants if scope in each.scopes)
            self._reaches[scope] = found
        return found


EVERYTHING: Final = Access(
    grants=frozenset(
        {
            Grant(
                area=Area(tenants=frozenset({ANY}), workflows=frozenset({ANY})),
                scopes=frozenset(Scope),
            )
        }
    )
)
"""The access of everybody where identities are switched off."""


@dataclass(frozen=True)
class Grants:
    """All grants that there are."""

    grants: tuple[Grant, ...] = ()
    # Of principals without claims, whose tokens are all alike.
    _known: dict[Principal, Access] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def access_of(self, principal: Principal) -> Access:
        """Return what the principal may do; a watch link needs no grant to show its run."""
        if principal.watched is not None:
            return _watching(principal.watched)
        known = None if principal.claims else self._known.get(principal)
        if known is not None:
            return known
        access = Access(grants=frozenset(each for each in self.grants if each.is_for(principal)))
        if not principal.claims:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[principal] = access
        return access


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks, and what they may do."""

    principal: Principal
    access: Access


def claim(claims: Mapping[str, JsonValue], name: str) -> JsonValue:
    """Return the claim of this name, or at this JSON Pointer; None if there is none."""
    if not name.startswith("/"):
        return claims.get(name)
    found: JsonValue = dict(claims)
    for part in name[1:].split("/"):
        if not isinstance(found, dict):
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _watching(watched: WatchedRun) -> Access:
    scopes = {Scope.READ} | ({Scope.PAYLOADS} if watched.payloads else set())
    area = Area(tenants=frozenset({watched.key.tenant}), workflows=frozenset({watched.workflow}))
    return Access(grants=frozenset({Grant(area=area, scopes=frozenset(scopes))}), run=watched.key)


def _holds(value: JsonValue, text: str) -> bool:
    """Return whether a claim is the text or a number of the same digits, or lists one."""
    if isinstance(value, list):
        return any(_holds(each, text) for each in value if not isinstance(each, list))
    # True is an int as well.
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) == text if number else value == text
