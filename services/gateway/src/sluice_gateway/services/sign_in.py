"""Signs people in by their identity provider: authorization code and PKCE.

OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207, RFC 9700.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final
from urllib.parse import urlencode

import structlog

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.id_tokens import TokenError, read_head
from sluice_gateway.domain.identity import Principal
from sluice_gateway.domain.key_ring import KeyRing, Purpose
from sluice_gateway.domain.sealed_values import NONCE_BYTES, SealError, opened, sealed
from sluice_gateway.identity_ports import FetchError, IdentityProvider, ProviderEndpoints
from sluice_gateway.services.rare_fetch import RareFetch
from sluice_gateway.services.sessions import Sessions, SessionTooLargeError
from sluice_gateway.services.sign_in_limits import SignInLimits
from sluice_gateway.services.trusted_issuer import TrustedIssuer

__all__ = ["ATTEMPT", "Begun", "Returned", "SignIn", "SignInConfig", "SignInError", "SignedIn"]

_log = structlog.get_logger(__name__)

ATTEMPT: Final = timedelta(minutes=10)
"""How long somebody may take at the identity provider."""


class SignInError(Exception):
    """Nobody is signed in; the message says why, and has nothing of what was secret."""


@dataclass(frozen=True, kw_only=True)
class SignInConfig:
    """Where people come back to, and what is asked of them."""

    redirect_uri: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Begun:
    """Where to send the browser, and the cookie by which it is known when it comes back."""

    location: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Returned:
    """What a browser brings back from the identity provider; `cookie` is that of `Begun`.

    `client` is the address that its share is counted for.
    """

    cookie: str = field(repr=False)
    state: str = field(repr=False)
    code: str = field(repr=False)
    issuer: str | None = None
    client: str = ""


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """Who has signed in, the session's cookie, and the path that was wanted at first."""

    user: Principal
    cookie: str = field(repr=False)
    return_to: str


class SignIn:
    """Sends people to their identity provider, and makes a session when they come back."""

    def __init__(
        self,
        config: SignInConfig,
        *,
        provider: IdentityProvider,
        issuer: TrustedIssuer,
        sessions: Sessions,
        ring: Callable[[], KeyRing],
        limits: SignInLimits,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._config = config
        self._provider = provider
        self._issuer = issuer
        self._sessions = sessions
        self._ring = ring
        self._now = now
        self._random = random
        self._limits = limits
        self._endpoints = RareFetch(provider.endpoints, what=f"endpoints of {issuer.issuer}")

    @property
    def session_lifetime(self) -> timedelta:
        """How long a session is good."""
        return self._sessions.lifetime

    async def begin(self, return_to: str) -> Begun:
        """Begin an attempt that ends at the path `return_to`.

        Raises:
            ProblemError: UNAVAILABLE, the identity provider cannot be reached.
        """
        endpoints = await self._known_endpoints()
        verifier = self._secret()
        attempt: dict[str, Any] = {
            "state": self._secret(),
            "nonce": self._secret(),
            "verifier": verifier,
            "return_to": return_to,
            "until": int((self._now() + ATTEMPT).timestamp()),
        }
        challenge = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._issuer.audience,
            "redirect_uri": self._config.redirect_uri,
            "scope": " ".join(self._config.scopes),
            "state": attempt["state"],
            "nonce": attempt["nonce"],
            "code_challenge": _base64(challenge),
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in endpoints.authorization else "?"
        return Begun(
            location=f"{endpoints.authorization}{separator}{urlencode(query)}",
            cookie=sealed(
                attempt,
                purpose=Purpose.SIGN_IN,
                ring=self._ring(),
                nonce=self._random(NONCE_BYTES),
            ),
        )

    async def finish(self, returned: Returned) -> SignedIn:
        """Finish the attempt that the browser has begun.

        Raises:
            SignInError: it is not this browser's attempt, or the identity provider does not agree.
            ProblemError: UNAVAILABLE, the identity provider cannot be reached; RATE_LIMITED or
                OVERLOADED, it is not asked for this client now.
        """
        attempt = self._attempt(returned)
        if returned.issuer is not None and returned.issuer != self._issuer.issuer:
            raise SignInError("The answer is from another identity provider.")
        endpoints = await self._known_endpoints()
        try:
            with self._limits.asking(returned.client):
                token = await self._provider.redeem(
                    endpoints,
                    code=returned.code,
                    verifier=attempt["verifier"],
                    redirect_uri=self._config.redirect_uri,
                )
        except FetchError as e:
            _log.warning("code not redeemed", issuer=self._issuer.issuer, error=str(e))
            raise SignInError("The identity provider does not take its own code.") from e
        user = await self._user(token, nonce=attempt["nonce"])
        try:
            cookie = self._sessions.cookie(user)
        except SessionTooLargeError as e:
            raise SignInError(
                "The claim groups does not fit into a cookie. Let the identity provider send "
                "fewer groups, or leave the scope out of auth.sign_in.scopes."
            ) from e
        return SignedIn(user=user, cookie=cookie, return_to=attempt["return_to"])

    async def close(self) -> None:
        """End fetches that are under way."""
        await self._endpoints.close()
        await self._issuer.keys.close()

    def _attempt(self, returned: Returned) -> dict[str, Any]:
        try:
            attempt = opened(returned.cookie, purpose=Purpose.SIGN_IN, ring=self._ring())
        except SealError as e:
            raise SignInError("This browser has not begun to sign in, or too long ago.") from e
        if self._now().timestamp() >= attempt["until"]:
            raise SignInError("This browser has begun to sign in too long ago.")
        if not hmac.compare_digest(attempt["state"].encode(), returned.state.encode()):
            raise SignInError("The answer is to another attempt than this browser's last one.")
        return attempt

    async def _known_endpoints(self) -> ProviderEndpoints:
        found = self._endpoints.current() or await self._endpoints.renewed()
        if found is None:
            raise ProblemError.of(
                ProblemType.UNAVAILABLE,
                "The identity provider cannot be reached, so nobody can sign in now.",
                retry_after=ceil(self._endpoints.retry_after),
            )
        return found

    async def _user(self, token: str, *, nonce: str) -> Principal:
        try:
            claims = await self._issuer.claims(token, read_head(token), now=self._now())
            _check_attempt(claims, nonce=nonce, client_id=self._issuer.audience)
            return self._issuer.rule.principal(claims)
        except TokenError as e:
            raise SignInError(f"The ID token is not taken: {e}.") from e

    def _secret(self) -> str:
        """Return 256 bits, which are 43 characters, the least that PKCE takes."""
        return _base64(self._random(32))


def _check_attempt(claims: Mapping[str, Any], *, nonce: str, client_id: str) -> None:
    found = claims.get("nonce")
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
        raise TokenError("of another attempt (nonce)")
    # OpenID Connect Core section 3.1.3.7: with several audiences, azp names the client.
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise TokenError("for another client (azp)")


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
