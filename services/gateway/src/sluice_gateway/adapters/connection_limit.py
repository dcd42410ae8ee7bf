"""Lets connections in, as far as their peers' shares go, and reads from each a little at a time."""

import asyncio
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, cast

from sluice_gateway.domain.fair_shares import FairShares
from sluice_gateway.domain.http_problem import MEDIA_TYPE, plain_problem
from sluice_gateway.domain.trusted_proxies import TrustedProxies

__all__ = ["ConnectionLimiter", "ConnectionPlaces", "ServedConnection"]

_FULL_BODY: Final = plain_problem(
    503, detail="The gateway has too many connections, in all or from your address."
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
    % (MEDIA_TYPE.encode(), len(_FULL_BODY), _FULL_BODY)
)


# How many connections are looked at for one that is idle.
_LOOKS: Final = 16


class ServedConnection(asyncio.Protocol):
    """What serves a connection."""

    __slots__ = ()

    @property
    @abstractmethod
    def requests(self) -> int:
        """How many requests have come on it."""

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether no request is being answered, or waits for that."""


class ConnectionPlaces:
    """The places of connections, of which each peer has a share.

    If nearly none is left, an idle connection of a peer with more of them makes room: one that has
    brought no request yet, or none for the longest time. Clients connect again if they find an idle
    connection closed, but nothing helps those that cannot connect.
    """

    def __init__(self, shares: FairShares) -> None:
        self._shares = shares
        # By the begin of their last request, or their own; those that were found busy go behind.
        self._held: OrderedDict[ConnectionLimiter, None] = OrderedDict()

    def take(self, connection: "ConnectionLimiter") -> bool:
        """Take a place for a new connection; False if there is none."""
        if not self._shares.take(connection.peer, 1):
            idle = self._idle(held=self._shares.held_by(connection.peer))
            if idle is None:
                return False
            del self._held[idle]
            self._shares.hand_over(idle.peer, connection.peer)
            idle.make_room()
        self._held[connection] = None
        return True

    def has_begun(self, connection: "ConnectionLimiter") -> None:
        """Note that a request has come on the connection."""
        if connection in self._held:
            self._held.move_to_end(connection)

    def release(self, connection: "ConnectionLimiter") -> None:
        """Release the place of a connection, unless it has made room already."""
        if connection in self._held:
            del self._held[connection]
            self._shares.give_back(connection.peer, 1)

    def _idle(self, *, held: int) -> "ConnectionLimiter | None":
        """Return an idle connection of a peer that holds more; a trusted proxy's is none."""
        for _ in range(min(_LOOKS, len(self._held)) if self._shares.are_scarce else 0):
            connection = next(iter(self._held))
            richer = connection.peer and self._shares.held_by(connection.peer) > held
            if richer and connection.is_idle:
                return connection
            self._held.move_to_end(connection)
        return None


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
        places: ConnectionPlaces,
        serve: Callable[[], ServedConnection],
        buffer: bytearray,
    ) -> None:
        self._peers = peers
        self._places = places
        self._serve = serve
        self._peer: str | None = None
        self._protocol: ServedConnection | None = None
        self._transport: asyncio.Transport | None = None
        self._requests = 0
        self._buffer = buffer

    @property
    def peer(self) -> str | None:
        """Whose connection it is; None if a trusted proxy uses it for many."""
        return self._peer

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer on it."""
        return self._protocol is not None and self._protocol.is_idle

    def make_room(self) -> None:
        """Close the connection, which is idle."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the connection, or say that it is one too many."""
        self._peer = self._peer_of(transport)
        # Not by isinstance: uvloop's transports are not subclasses.
        self._transport = cast("asyncio.Transport", transport)
        if self._places.take(self):
            self._protocol = self._serve()
            self._protocol.connection_made(transport)
            return
        self._transport.write(_FULL)
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection's share."""
        if self._protocol is not None:
            self._places.release(self)
            self._protocol.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the size is ours to choose
        """Return the place for what is read next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        if self._protocol is not None:
            self._protocol.data_received(bytes(self._buffer[:nbytes]))
            if self._protocol.requests > self._requests:
                self._requests = self._protocol.requests
                self._places.has_begun(self)

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
        """Name whose connection it is, as `peer` does."""
        name = transport.get_extra_info("peername")
        address = str(name[0]) if isinstance(name, tuple) else None
        return None if self._peers.is_proxy(address) else self._peers.of(address)
