"""Fetches what others publish: rarely, once for all who need it, and the last version stays."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import structlog

from sluice_gateway.identity_ports import FetchError

__all__ = ["FETCH_INTERVAL", "REFRESH_AFTER", "RareFetch"]

_log = structlog.get_logger(__name__)

FETCH_INTERVAL: Final = 30.0
"""Seconds between the begins of two fetches, whatever is asked and whatever came of them."""

REFRESH_AFTER: Final = 600.0
"""Seconds after which a version is fetched again, although nobody misses anything in it."""

T = TypeVar("T")


class RareFetch(Generic[T]):
    """The newest version of something that could be fetched.

    `what` names it in the log. `fetched` gets whether a fetch was successful. Times are those of
    the event loop.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        *,
        what: str,
        fetched: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._fetch = fetch
        self._what = what
        self._fetched = fetched
        self._value: T | None = None
        self._begun: float | None = None
        self._failed = False
        self._under_way: asyncio.Task[None] | None = None

    @property
    def failed(self) -> bool:
        """Whether the last fetch failed, so that there may be a newer version."""
        return self._failed

    @property
    def retry_after(self) -> float:
        """Seconds until the next fetch may begin, at least 1."""
        return max(1.0, FETCH_INTERVAL - self._since_begun())

    def current(self) -> T | None:
        """Return the newest version, None before the first; nobody waits for one that is old."""
        if self._since_begun() >= (FETCH_INTERVAL if self._failed else REFRESH_AFTER):
            self._begin()
        return self._value

    async def renewed(self) -> T | None:
        """Return the newest version after a fetch, unless one has begun FETCH_INTERVAL ago."""
        if self._since_begun() >= FETCH_INTERVAL:
            self._begin()
        if self._under_way is not None:
            # A caller that leaves does not take it from the others.
            await asyncio.shield(self._under_way)
        return self._value

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait({self._under_way})

    def _since_begun(self) -> float:
        if self._begun is None:
            return float("inf")
        return asyncio.get_running_loop().time() - self._begun

    def _begin(self) -> None:
        if self._under_way is None:
            self._begun = asyncio.get_running_loop().time()
            self._under_way = asyncio.create_task(self._run(), name=f"fetch {self._what}")

    async def _run(self) -> None:
        self._failed = True
        try:
            self._value = await self._fetch()
            self._failed = False
        except FetchError as e:
            _log.warning("fetch failed", what=self._what, error=str(e))
        finally:
            self._under_way = None
            self._fetched(not self._failed)
