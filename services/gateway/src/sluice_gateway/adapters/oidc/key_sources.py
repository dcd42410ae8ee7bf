"""Where issuers' public keys come from: an address, or a file that is mounted."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from sluice_gateway.domain.web_addresses import is_safe_address
from sluice_gateway.identity_ports import FetchError

__all__ = [
    "DiscoveredKeys",
    "KeysAtAddress",
    "KeysInFile",
    "bounded_body",
    "client_session",
    "discovered",
    "get_bounded",
]

MAX_BYTES: Final = 256 * 1024
"""Of one answer. A set of keys has some kilobytes."""

_SECONDS: Final = 5.0
_DISCOVERY: Final = "/.well-known/openid-configuration"


def client_session(
    *, ca_file: Path | None = None, timeout: float = _SECONDS
) -> aiohttp.ClientSession:
    """Return a client for an issuer, whose answers have `timeout` seconds; the caller closes it.

    Raises:
        OSError: the file of certificates cannot be read.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    if ca_file is not None:
        # As the Kubernetes client: authorities of clusters lack what RFC 5280 only asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=4),
        timeout=aiohttp.ClientTimeout(total=timeout),
        headers={"User-Agent": "Sluice", "Accept-Encoding": "identity"},
        # A small body must not become a large one.
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def get_bounded(session: aiohttp.ClientSession, address: str) -> bytes:
    """GET an address, with bounded time and size. A redirect is a failure.

    Raises:
        FetchError: there is no answer with 200, or it is too large.
    """
    try:
        async with session.get(address, allow_redirects=False) as response:
            return await bounded_body(response, address)
    except TimeoutError as e:
        raise FetchError(f"{address} has not answered in time.") from e
    except aiohttp.ClientError as e:
        raise FetchError(f"{address} cannot be reached: {type(e).__name__}.") from e


async def bounded_body(response: aiohttp.ClientResponse, address: str) -> bytes:
    """Return the body of an answer with 200.

    Raises:
        FetchError: it is another answer, or too large.
    """
    if response.status != 200:  # noqa: PLR2004 - OK
        raise FetchError(f"{address} has answered with {response.status}, not with 200.")
    body = bytearray()
    async for piece in response.content.iter_chunked(16 * 1024):
        body += piece
        if len(body) > MAX_BYTES:
            raise FetchError(f"{address} has answered with more than {MAX_BYTES} bytes.")
    return bytes(body)


async def discovered(session: aiohttp.ClientSession, issuer: str) -> Mapping[str, Any]:
    """Return what the issuer says of itself (OpenID Connect Discovery 1.0 section 4).

    Raises:
        FetchError: it cannot be had, or is of another issuer.
    """
    address = issuer.removesuffix("/") + _DISCOVERY
    try:
        document = json.loads(await get_bounded(session, address))
    except (ValueError, RecursionError) as e:
        raise FetchError(f"{address} has answered with what is not JSON.") from e
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise FetchError(f"{address} describes another issuer than auth.oidc expects.")
    return document


@dataclass(frozen=True, kw_only=True)
class KeysAtAddress:
    """A JWK Set at a fixed address."""

    session: aiohttp.ClientSession
    address: str

    async def fetch(self) -> bytes:
        """See `KeySource.fetch`."""
        return await get_bounded(self.session, self.address)


@dataclass(frozen=True, kw_only=True)
class DiscoveredKeys:
    """The JWK Set at the address that the issuer publishes."""

    session: aiohttp.ClientSession
    issuer: str

    async def fetch(self) -> bytes:
        """See `KeySource.fetch`."""
        address = (await discovered(self.session, self.issuer)).get("jwks_uri")
        if not isinstance(address, str) or not is_safe_address(address):
            raise FetchError(f"{self.issuer} publishes no jwks_uri with https.")
        return await get_bounded(self.session, address)


@dataclass(frozen=True)
class KeysInFile:
    """A JWK Set in a file, for an issuer whose address asks for credentials."""

    path: Path

    async def fetch(self) -> bytes:
        """See `KeySource.fetch`."""
        try:
            return await asyncio.to_thread(self._read)
        except OSError as e:
            raise FetchError(f"{self.path}: {e.strerror or e}.") from e

    def _read(self) -> bytes:
        with self.path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise FetchError(f"{self.path} has more than {MAX_BYTES} bytes.")
        return body
