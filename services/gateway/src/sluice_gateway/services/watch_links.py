"""Makes links that show one run, and finds out which run a link shows."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sluice_gateway.domain.identity import Principal, PrincipalKind, WatchedRun
from sluice_gateway.domain.key_ring import KeyRing
from sluice_gateway.domain.watch_links import WatchLinkError, read_watch_token, watch_token
from sluice_gateway.identity_ports import Credentials, UnauthenticatedError

__all__ = ["WatchLinks"]


class WatchLinks:
    """Nothing is kept of a link, so any replica with the same ring takes it."""

    def __init__(
        self,
        *,
        ring: Callable[[], KeyRing],
        lifetime: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._ring = ring
        self._lifetime = lifetime
        self._now = now

    def token(self, watched: WatchedRun) -> str:
        """Return a token for `?watch=`, good from now on for the lifetime."""
        return watch_token(watched, until=self._now() + self._lifetime, ring=self._ring())

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return the link as a principal.

        Raises:
            UnauthenticatedError: it is not a link of ours, or has expired.
        """
        try:
            watched = read_watch_token(credentials.value, now=self._now(), ring=self._ring())
        except WatchLinkError as e:
            raise UnauthenticatedError(f"watch link: {e}") from e
        return Principal(kind=PrincipalKind.WATCH_LINK, id=str(watched.key), watched=watched)
