"""What finding out who asks needs from outside: credentials, keys and identity providers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sluice_gateway.domain.identity import Principal

__all__ = [
    "Authenticator",
    "CredentialKind",
    "Credentials",
    "FetchError",
    "IdentityProvider",
    "KeySource",
    "ProviderEndpoints",
    "UnauthenticatedError",
]


class UnauthenticatedError(Exception):
    """The credentials prove nothing.

    The message is a reason in few words for the log, as in `expired`. It has no part of the
    credentials, and clients do not see it: they would learn which keys exist.
    """


class CredentialKind(StrEnum):
    """Where in a request credentials come from."""

    BEARER = "bearer"
    """The header `Authorization: Bearer`."""
    SESSION = "session"
    """The cookie of a browser that has signed in."""
    WATCH = "watch"
    """The query parameter `watch` of an operation that takes watch links."""


@dataclass(frozen=True)
class Credentials:
    """What a client shows to prove who it is; no more than its kind may be written anywhere."""

    kind: CredentialKind
    value: str = field(repr=False)


class Authenticator(Protocol):
    """Finds out who asks."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return who has shown the credentials.

        Raises:
            UnauthenticatedError: they prove nothing here, or nothing any more.
        """


class FetchError(Exception):
    """What another party publishes cannot be had now; the message says why."""


class KeySource(Protocol):
    """Where an issuer of tokens publishes its public keys."""

    async def fetch(self) -> bytes:
        """Return the JWK Set as it is now, in bounded time and size.

        Raises:
            FetchError: it cannot be had.
        """


@dataclass(frozen=True, kw_only=True)
class ProviderEndpoints:
    """Addresses of an identity provider, and whether its client's secret goes into the body."""

    authorization: str
    token: str
    secret_in_body: bool


class IdentityProvider(Protocol):
    """Who signs people in."""

    async def endpoints(self) -> ProviderEndpoints:
        """Return the provider's addresses.

        Raises:
            FetchError: they cannot be had.
        """

    async def redeem(
        self, endpoints: ProviderEndpoints, *, code: str, verifier: str, redirect_uri: str
    ) -> str:
        """Return the ID token for an authorization code, unverified.

        Raises:
            FetchError: the provider does not give one.
        """
