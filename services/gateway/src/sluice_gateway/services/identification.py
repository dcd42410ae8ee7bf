"""From what a client shows to who it is and what it may do."""

from collections.abc import Callable
from typing import Final, Protocol

from sluice_gateway.domain.identity import EVERYTHING, Grants, Identity, Principal, PrincipalKind
from sluice_gateway.identity_ports import Authenticator, Credentials, UnauthenticatedError

__all__ = ["ANYBODY", "AnonymousIdentification", "GrantedIdentification", "Identification"]

ANYBODY: Final = Identity(
    principal=Principal(kind=PrincipalKind.ANONYMOUS, id="anybody"), access=EVERYTHING
)


class Identification(Protocol):
    """Says who asks."""

    async def identify(self, credentials: Credentials | None) -> Identity:
        """Return who has shown the credentials, and what they may do; None shows nothing.

        Raises:
            UnauthenticatedError: that is not known.
        """


class AnonymousIdentification:
    """Lets everybody do everything, whatever they show: for one machine, and for tests."""

    async def identify(self, credentials: Credentials | None) -> Identity:  # noqa: ARG002
        """See `Identification.identify`."""
        return ANYBODY


class GrantedIdentification:
    """Believes the authenticator, and lets everybody do what the grants of the moment say."""

    def __init__(self, authenticator: Authenticator, *, grants: Callable[[], Grants]) -> None:
        self._authenticator = authenticator
        self._grants = grants

    async def identify(self, credentials: Credentials | None) -> Identity:
        """See `Identification.identify`."""
        if credentials is None:
            raise UnauthenticatedError("no credentials")
        principal = await self._authenticator.authenticate(credentials)
        return Identity(principal=principal, access=self._grants().access_of(principal))
