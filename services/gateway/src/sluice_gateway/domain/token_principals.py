"""Which principal the claims of a verified token are, by the kind of its issuer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sluice_gateway.domain.id_tokens import TokenError
from sluice_gateway.domain.identity import Principal, PrincipalKind

__all__ = ["GitHubActions", "KubernetesServiceAccounts", "PrincipalRule", "Users"]

# DNS labels: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_SERVICE_ACCOUNT: Final = re.compile(
    r"system:serviceaccount:(?P<namespace>[a-z0-9-]{1,63}):(?P<name>[a-z0-9.-]{1,253})"
)
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
# Goes to logs, records and headers. OpenID Connect Core section 2 limits `sub` to 255 of ASCII.
_USER_ID: Final = re.compile(r"[!-~]{1,255}")
_NOT_RENAMED: Final = (
    "repository_id",
    "repository_owner_id",
    "repository_visibility",
    "actor_id",
    "ref",
    "ref_type",
    "environment",
    "event_name",
    "run_id",
)


@dataclass(frozen=True, kw_only=True)
class KubernetesServiceAccounts:
    """Tokens of a Kubernetes API server: `service_account:namespace/name`.

    The claims are `iss`, `sub` and `kubernetes.io`, which has the uid of the ServiceAccount.
    """

    prefix: str = ""

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """See `PrincipalRule`."""
        named = _SERVICE_ACCOUNT.fullmatch(claims["sub"])
        if named is None:
            raise TokenError("sub is not a ServiceAccount's")
        return Principal(
            kind=PrincipalKind.SERVICE_ACCOUNT,
            id=f"{self.prefix}{named['namespace']}/{named['name']}",
            claims=_chosen(claims, "sub", "kubernetes.io"),
        )


@dataclass(frozen=True, kw_only=True)
class GitHubActions:
    """Tokens of jobs of GitHub Actions: `workload:github/<owner's id>/<repository's id>`.

    `owners` are the ids of the accounts whose repositories are let in; which of them may do what is
    for grants to say. Names of repositories and owners are left out of the claims, and `sub` with
    them: who renames a repository, or takes a name that has become free, must not get its grants.

    https://docs.github.com/en/actions/reference/security/oidc
    """

    owners: frozenset[str]
    prefix: str = ""

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """See `PrincipalRule`."""
        owner, repository = claims.get("repository_owner_id"), claims.get("repository_id")
        if not (_is_number(owner) and _is_number(repository)):
            raise TokenError("without repository_id and repository_owner_id")
        if owner not in self.owners:
            raise TokenError("of a repository of another owner")
        return Principal(
            kind=PrincipalKind.WORKLOAD,
            id=f"{self.prefix}github/{owner}/{repository}",
            claims=_chosen(claims, *_NOT_RENAMED),
        )


@dataclass(frozen=True, kw_only=True)
class Users:
    """Tokens of people: `user:<sub>`, or `user:<email>` in lower case if it is verified.

    The claims are `iss`, `sub`, `email` (if verified) and `groups`.
    """

    id: Literal["sub", "email"] = "sub"
    prefix: str = ""

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """See `PrincipalRule`."""
        verified = claims.get("email_verified") is True and isinstance(claims.get("email"), str)
        if self.id == "email" and not verified:
            raise TokenError("without an email that is verified")
        name = claims["sub"] if self.id == "sub" else claims["email"].lower()
        if not _USER_ID.fullmatch(name):
            raise TokenError(f"{self.id} cannot be an id")
        return Principal(
            kind=PrincipalKind.USER,
            id=f"{self.prefix}{name}",
            claims=_chosen(claims, "sub", "groups", *(("email",) if verified else ())),
        )


PrincipalRule = KubernetesServiceAccounts | GitHubActions | Users
"""`principal(claims)` returns who a verified token is of, or raises TokenError.

Every principal has the claim `iss`, by which grants distinguish issuers.
"""


def _chosen(claims: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: claims[name] for name in ("iss", *names) if name in claims}


def _is_number(value: object) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None
