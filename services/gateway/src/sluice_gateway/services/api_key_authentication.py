"""Authenticates those who show an API key."""

from collections.abc import Callable
from datetime import UTC, datetime

from sluice_gateway.domain.api_keys import ApiKeys, RefusedKeyError
from sluice_gateway.domain.identity import Principal, PrincipalKind
from sluice_gateway.identity_ports import Credentials, UnauthenticatedError

__all__ = ["ApiKeyAuthenticator"]


class ApiKeyAuthenticator:
    """Looks keys up; `keys` returns those that there are now."""

    def __init__(
        self,
        keys: Callable[[], ApiKeys],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._now = now

    async def authenticate(self, credentials: Credentials) -> Principal:
        """See `Authenticator.authenticate`."""
        try:
            key = self._keys().verify(credentials.value, now=self._now())
        except RefusedKeyError as e:
            raise UnauthenticatedError(str(e)) from None
        return Principal(kind=PrincipalKind.API_KEY, id=key.principal)
