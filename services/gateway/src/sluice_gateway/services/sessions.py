"""Sessions of browsers, which live in an encrypted cookie alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sluice_gateway.domain.identity import Principal, PrincipalKind
from sluice_gateway.domain.key_ring import KeyRing, Purpose
from sluice_gateway.domain.sealed_values import NONCE_BYTES, SealError, opened, sealed
from sluice_gateway.identity_ports import Credentials, UnauthenticatedError

__all__ = ["MAX_COOKIE_BYTES", "SessionTooLargeError", "Sessions"]

MAX_COOKIE_BYTES: Final = 3800
"""Browsers take cookies of 4,096 bytes with name and attributes (RFC 6265 section 6.1)."""


class SessionTooLargeError(Exception):
    """What is to be known of the person does not fit into a cookie."""


class Sessions:
    """Nothing is kept of a session, so any replica with the same ring takes it.

    Nothing can end one early but the removal of its key from the ring.
    """

    def __init__(
        self,
        *,
        ring: Callable[[], KeyRing],
        lifetime: timedelta,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._ring = ring
        self._lifetime = lifetime
        self._now = now
        self._random = random

    @property
    def lifetime(self) -> timedelta:
        """How long a session is good."""
        return self._lifetime

    def cookie(self, user: Principal) -> str:
        """Return the cookie's value for somebody who has just signed in.

        Raises:
            SessionTooLargeError: their claims are too long, which are mostly groups.
        """
        until = int((self._now() + self._lifetime).timestamp())
        value = sealed(
            {"id": user.id, "claims": dict(user.claims), "until": until},
            purpose=Purpose.SESSION,
            ring=self._ring(),
            nonce=self._random(NONCE_BYTES),
        )
        if len(value) > MAX_COOKIE_BYTES:
            raise SessionTooLargeError
        return value

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return who has signed in.

        Raises:
            UnauthenticatedError: it is not a session of ours, or it has expired.
        """
        try:
            session = opened(credentials.value, purpose=Purpose.SESSION, ring=self._ring())
        except SealError as e:
            raise UnauthenticatedError("session: not one of ours") from e
        if self._now().timestamp() >= session["until"]:
            raise UnauthenticatedError("session: expired")
        return Principal(kind=PrincipalKind.USER, id=session["id"], claims=session["claims"])
