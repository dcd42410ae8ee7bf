"""Lets connections in, as far as their peers' shares go, and reads from each a little at a time."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from sluice_gateway.domain.fair_shares import FairShares
from sluice_gateway.domain.http_problem import MEDIA_TYPE, plain_problem
from sluice_gateway.domain.trusted_proxies import TrustedProxies

__all__ = ["ConnectionLimiter"]

_FULL_BODY: Final = plain_problem(
    503, detail="The gateway has too many connections, in all or from your address."
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
    % (MEDIA_TYPE.encode(), len(_FULL_BODY), _FULL_BODY)
)


class ConnectionLimiter(asyncio.BufferedProtocol):
    """One connection: what comes is passed on to `serve`'s protocol, if the peer has a share left.

    The protocol is made once it is known whose connection it is, which its factory cannot know.
    `buffer` is as large as what is read at once; all connections share it, for what is read of one
    is passed on before another is read.
    """

    def __init__(
        self,
        *,
        peers: TrustedProxies,
        connections: FairShares,
        serve: Callable[[], asyncio.Protocol],
        buffer: bytearray,
    ) -> None:
        self._peers = peers
        self._connections = connections
        self._serve = serve
        self._peer: str | None = None
        self._protocol: asyncio.Protocol | None = None
        self._buffer = buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the connection, or say that it is one too many."""
        self._peer = self._peer_of(transport)
        if self._connections.take(self._peer, 1):
            self._protocol = self._serve()
            self._protocol.connection_made(transport)
            return
        # Not by isinstance: uvloop's transports are not subclasses.
        cast("asyncio.Transport", transport).write(_FULL)
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection's share."""
        if self._protocol is not None:
            self._connections.give_back(self._peer, 1)
            self._protocol.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the size is ours to choose
        """Return the place for what is read next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        if self._protocol is not None:
            self._protocol.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return None if self._protocol is None else self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def _peer_of(self, transport: asyncio.BaseTransport) -> str | None:
        """Name whose connection it is; None if a trusted proxy uses it for many."""
        name = transport.get_extra_info("peername")
        address = str(name[0]) if isinstance(name, tuple) else None
        return None if self._peers.is_proxy(address) else self._peers.of(address)
