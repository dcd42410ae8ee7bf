"""Keeps the public keys of an issuer of tokens."""

from collections.abc import Callable

import structlog
from jwt import PyJWK

from sluice_gateway.domain.verifying_keys import KeySet, KeySetError, key_set
from sluice_gateway.identity_ports import FetchError, KeySource
from sluice_gateway.services.rare_fetch import RareFetch

__all__ = ["IssuerKeys", "KeysUnknownError"]

_log = structlog.get_logger(__name__)


class KeysUnknownError(Exception):
    """The last fetch failed, so it is not known whether there is such a key.

    `retry_after` is the number of seconds after which the next fetch may have an answer.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("The issuer's keys cannot be fetched.")
        self.retry_after = retry_after


class IssuerKeys:
    """The keys of one issuer. An unknown key causes a fetch, within the bounds of RareFetch.

    While the issuer is away its known keys stay good. `withdrawn` is called when a key has gone:
    what it has verified may be kept no longer. `fetched` gets whether a fetch was successful.
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
        self._keys = KeySet()
        self._fetch = RareFetch(self._read, what=f"keys of {issuer}", fetched=fetched)

    async def find(self, key_id: str, algorithm: str) -> PyJWK | None:
        """Return the key, None if the issuer has no such key for the algorithm.

        Raises:
            KeysUnknownError: it is not known, and the issuer cannot be asked.
        """
        keys = self._fetch.current()
        if keys is None or keys.find(key_id, algorithm) is None:
            keys = await self._fetch.renewed()
        found = keys.find(key_id, algorithm) if keys is not None else None
        if found is None and self._fetch.failed:
            raise KeysUnknownError(self._fetch.retry_after)
        return found

    def keep_fresh(self) -> None:
        """Fetch the keys again if they are old; nobody waits for that."""
        self._fetch.current()

    async def close(self) -> None:
        """End a fetch that is under way."""
        await self._fetch.close()

    async def _read(self) -> KeySet:
        try:
            keys = key_set(await self._source.fetch(), algorithms=self._algorithms)
        except KeySetError as e:
            raise FetchError(str(e)) from e
        before, self._keys = self._keys, keys
        if not keys.has_all_of(before):
            _log.info("keys withdrawn", issuer=self._issuer)
            self._withdrawn()
        return keys
