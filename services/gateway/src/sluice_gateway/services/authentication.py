"""Finds out who asks: each form of credentials has one authenticator."""

import re
from dataclasses import dataclass
from typing import Final

from sluice_contracts.api_keys import PREFIX
from sluice_gateway.domain.identity import Principal
from sluice_gateway.identity_ports import (
    Authenticator,
    CredentialKind,
    Credentials,
    UnauthenticatedError,
)

__all__ = ["WATCH_PREFIX", "AuthenticatorChain"]

WATCH_PREFIX: Final = "slw_"

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class AuthenticatorChain:
    """Asks the one authenticator for the form of the credentials; without it, they are unknown.

    `tokens` takes bearer tokens of three parts (JWT), `sessions` the browser's cookie.
    """

    api_keys: Authenticator | None = None
    tokens: Authenticator | None = None
    sessions: Authenticator | None = None
    watch_links: Authenticator | None = None

    async def authenticate(self, credentials: Credentials) -> Principal:
        """See `Authenticator.authenticate`."""
        found = self._for(credentials)
        if found is None:
            raise UnauthenticatedError("credentials of a form that is not taken here")
        return await found.authenticate(credentials)

    def _for(self, credentials: Credentials) -> Authenticator | None:
        match credentials.kind:
            case CredentialKind.SESSION:
                return self.sessions
            case CredentialKind.WATCH:
                return self.watch_links if credentials.value.startswith(WATCH_PREFIX) else None
            case CredentialKind.BEARER if credentials.value.startswith(PREFIX):
                return self.api_keys
            case CredentialKind.BEARER if _JWT.fullmatch(credentials.value):
                return self.tokens
        return None
