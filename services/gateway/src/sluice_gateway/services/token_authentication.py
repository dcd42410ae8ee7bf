"""Finds out who has a token of OpenID Connect, from the issuers that are trusted."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from sluice_gateway.domain.id_tokens import LEEWAY, TokenError, expiry, read_head
from sluice_gateway.domain.identity import Principal
from sluice_gateway.identity_ports import Credentials, UnauthenticatedError
from sluice_gateway.services.trusted_issuer import TrustedIssuer

__all__ = ["TokenAuthenticator", "VerifiedTokens"]

MAX_VERIFIED: Final = 10_000


class VerifiedTokens:
    """Tokens that were good, by their digest, until they expire; the least recently used goes."""

    def __init__(self, *, max_tokens: int = MAX_VERIFIED) -> None:
        self._max_tokens = max_tokens
        self._known: OrderedDict[bytes, tuple[str, float, Principal]] = OrderedDict()

    def find(self, digest: bytes, *, now: float) -> tuple[str, Principal] | None:
        """Return issuer and owner of the token, None if it is not known or has expired."""
        known = self._known.get(digest)
        if known is None:
            return None
        issuer, until, principal = known
        if until <= now:
            del self._known[digest]
            return None
        self._known.move_to_end(digest)
        return issuer, principal

    def keep(self, digest: bytes, principal: Principal, *, issuer: str, until: float) -> None:
        """Keep a token that was verified; `until` and `now` are seconds since 1970."""
        self._known[digest] = (issuer, until, principal)
        if len(self._known) > self._max_tokens:
            self._known.popitem(last=False)

    def forget(self, issuer: str) -> None:
        """Forget the tokens of an issuer that has withdrawn a key."""
        self._known = OrderedDict(
            (digest, known) for digest, known in self._known.items() if known[0] != issuer
        )

    def __len__(self) -> int:
        """Return how many tokens are kept."""
        return len(self._known)


class TokenAuthenticator:
    """Verifies tokens and remembers those that were good."""

    def __init__(
        self,
        issuers: Iterable[TrustedIssuer],
        *,
        verified: VerifiedTokens,
        now: Callable[[], datetime],
    ) -> None:
        self._issuers = {each.issuer: each for each in issuers}
        self._verified = verified
        self._now = now

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return who the token is of.

        Raises:
            UnauthenticatedError: it is not a valid token of an issuer that is trusted.
            ProblemError: UNAVAILABLE, the issuer's key is not known and cannot be fetched now.
        """
        token = credentials.value
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.find(digest, now=self._now().timestamp())
        if known is not None:
            issuer, principal = known
            # A key that is withdrawn ends its tokens, these as well.
            self._issuers[issuer].keys.keep_fresh()
            return principal
        try:
            return await self._verify(token, digest)
        except TokenError as e:
            raise UnauthenticatedError(f"token: {e}") from e

    async def _verify(self, token: str, digest: bytes) -> Principal:
        head = read_head(token)
        trusted = self._issuers.get(head.issuer)
        if trusted is None:
            raise TokenError("of an issuer that is not trusted")
        claims = await trusted.claims(token, head, now=self._now())
        principal = trusted.rule.principal(claims)
        until = expiry(claims) + LEEWAY.total_seconds()
        self._verified.keep(digest, principal, issuer=trusted.issuer, until=until)
        return principal
