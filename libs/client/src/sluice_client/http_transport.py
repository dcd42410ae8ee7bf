"""Sends requests by aiohttp."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
from yarl import URL

from sluice_client.errors import SluiceError
from sluice_client.transport import Answer, BrokenError, Call, NotSentError, StreamAnswer

__all__ = ["HttpTransport", "address_of"]

# The gateway sends a comment every 15 seconds.
_LONGEST_SILENCE_S: Final = 45.0


def address_of(text: str) -> URL:
    """Return the address of a gateway, which may have a path.

    Raises:
        ValueError: it is none; the message does not repeat it, because it may have a password.
    """
    address = URL(text)
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError("The address must be like https://sluice.example.com.")
    if address.user is not None or address.password is not None:
        raise ValueError("The address must have no user or password; give the client a token.")
    if address.query_string or address.fragment:
        raise ValueError("The address must have no query and no fragment.")
    return address


class HttpTransport:
    """Keeps connections to one gateway.

    Args:
        address: of the gateway, see `address_of`.
        tls: settings of TLS, such as a certificate authority of one's own; None for the usual ones.
    """

    def __init__(self, address: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.address = address_of(address)
        self._tls = tls
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, call: Call, *, token: str | None, within: float) -> Answer:
        """See `Transport.send`."""
        timeout = aiohttp.ClientTimeout(total=within)
        with _failures():
            async with self._session().request(
                **self._arguments(call, token), timeout=timeout
            ) as response:
                body = await response.read()
                return Answer(status=response.status, headers=response.headers, body=body)

    @asynccontextmanager
    async def stream(
        self, call: Call, *, token: str | None, within: float
    ) -> AsyncIterator[StreamAnswer]:
        """See `Transport.stream`."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=within, sock_read=max(within, _LONGEST_SILENCE_S)
        )
        with _failures():
            response = await self._session().request(
                **self._arguments(call, token), timeout=timeout
            )
        async with response:
            yield StreamAnswer(
                status=response.status, headers=response.headers, body=_pieces(response)
            )

    async def close(self) -> None:
        """See `Transport.close`."""
        self._closed = True
        if self._opened is not None:
            await self._opened.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise SluiceError("The client is closed.")
        # A session needs the event loop, which there is only now.
        if self._opened is None:
            connector = aiohttp.TCPConnector(ssl=self._tls or True, limit=0)
            self._opened = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), raise_for_status=False
            )
        return self._opened

    def _arguments(self, call: Call, token: str | None) -> dict[str, Any]:
        url = self.address.with_path(self.address.path.rstrip("/") + call.path, encoded=True)
        headers = dict(call.headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if call.body is not None:
            headers["Content-Type"] = call.media_type
        return {
            "method": call.method,
            "url": url.with_query(list(call.query)) if call.query else url,
            "headers": headers,
            "data": call.body,
            # A gateway never redirects, and a token must not go elsewhere.
            "allow_redirects": False,
        }


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    with _failures():
        async for piece in response.content.iter_any():
            yield piece


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as e:
        raise NotSentError(str(e) or type(e).__name__) from e
    except (aiohttp.ClientError, TimeoutError, OSError) as e:
        raise BrokenError(str(e) or type(e).__name__) from e
