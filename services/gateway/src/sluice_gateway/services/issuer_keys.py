"""Keeps an issuer's public keys: fetched when they are needed, rarely, and once for all."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from jwt import PyJWK

from sluice_gateway.domain.verifying_keys import KeySet, KeySetError, key_set
from sluice_gateway.ports import KeySource, KeySourceError

__all__ = ["IssuerKeys", "KeysUnknownError"]

_log = structlog.get_logger(__name__)

FETCH_INTERVAL: Final = 30.0
"""Seconds between the begins of two fetches, whatever is asked and whatever came of them."""

REFRESH_AFTER: Final = 600.0
"""Seconds after which keys are fetched again although they are known: issuers withdraw some."""


class KeysUnknownError(Exception):
    """The last fetch failed, so it is not known whether there is such a key.

    `retry_after` is the number of seconds after which the next fetch may have an answer.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("The issuer's keys cannot be fetched.")
        self.retry_after = retry_after


class IssuerKeys:
    """The keys of one issuer.

    An unknown key causes a fetch, at most one in FETCH_INTERVAL, which all who ask wait for
    together. While the issuer is away its known keys stay good. `withdrawn` is called when a key
    has gone: what it has verified may be kept no longer. `fetched` gets whether a fetch was
    successful. Times are those of the event loop.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        issuer: str,
        algorithms: tuple[str, ...],
        withdrawn: Callable[[], None],
        fetched: Callable[[bool], None],
    ) -> None:
        self._source = source
        self._issuer = issuer
        self._algorithms = algorithms
        self._withdrawn = withdrawn
        self._fetched = fetched
        self._keys = KeySet()
        self._begun: float | None = None
        self._failed = False
        self._fetch: asyncio.Task[None] | None = None

    async def find(self, key_id: str, algorithm: str) -> PyJWK | None:
        """Return the key, None if the issuer has no such key for the algorithm.

        Raises:
            KeysUnknownError: it is not known, and the issuer cannot be asked.
        """
        found = self._keys.find(key_id, algorithm)
        if found is not None:
            if self._since_begun() >= (FETCH_INTERVAL if self._failed else REFRESH_AFTER):
                self._fetch_unless_under_way()
            return found
        if self._since_begun() >= FETCH_INTERVAL:
            self._fetch_unless_under_way()
        if self._fetch is not None:
            # Whoever leaves does not take it from the others.
            await asyncio.shield(self._fetch)
        found = self._keys.find(key_id, algorithm)
        if found is None and self._failed:
            raise KeysUnknownError(max(1.0, FETCH_INTERVAL - self._since_begun()))
        return found

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait({self._fetch})

    def _since_begun(self) -> float:
        if self._begun is None:
            return float("inf")
        return asyncio.get_running_loop().time() - self._begun

    def _fetch_unless_under_way(self) -> None:
        if self._fetch is None:
            self._begun = asyncio.get_running_loop().time()
            self._fetch = asyncio.create_task(self._renew(), name=f"keys of {self._issuer}")

    async def _renew(self) -> None:
        self._failed = True
        try:
            keys = key_set(await self._source.fetch(), algorithms=self._algorithms)
        except (KeySourceError, KeySetError) as e:
            _log.warning("keys not fetched", issuer=self._issuer, error=str(e))
        else:
            self._failed = False
            before, self._keys = self._keys, keys
            if not keys.has_all_of(before):
                _log.info("keys withdrawn", issuer=self._issuer)
                self._withdrawn()
        finally:
            self._fetch = None
            self._fetched(not self._failed)
