"""Serves the application to clients that may be slow, silent, many or malicious.

aiohttp bounds the size of heads and bodies and the time between requests; what it leaves open is
closed here. What is left to a proxy, docs/api.md says.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

import structlog
from aiohttp import StreamReader, web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_request import BaseRequest

from sluice_gateway.adapters.connection_limit import (
    ConnectionLimiter,
    ConnectionPlaces,
    ServedConnection,
)
from sluice_gateway.domain.fair_shares import FairShares
from sluice_gateway.domain.http_problem import MEDIA_TYPE, plain_problem
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.settings import HttpSettings
from sluice_runtime.durations import seconds

__all__ = ["Connection", "log_address", "serve_http"]

_log = structlog.get_logger(__name__)

# What one connection may hold that nobody has admitted, 4,096 of them hold, too. By aiohttp's
# defaults that would be 1 MiB of an incomplete head, 768 KiB of a body that no handler reads (three
# times what is read at once), and 32 requests behind the one in flight.
_READ_BYTES: Final = 16 * 1024
_HEAD_BYTES: Final = 32 * 1024
_READ_AHEAD: Final = 2

_HEAD_TOO_LARGE_BODY: Final = plain_problem(
    431, detail=f"The request's head is too large; {_HEAD_BYTES} bytes are allowed."
)
_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
    b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
    % (MEDIA_TYPE.encode(), len(_HEAD_TOO_LARGE_BODY), _HEAD_TOO_LARGE_BODY)
)


class Connection(web.RequestHandler, ServedConnection):
    """A connection whose first request has to come in time, and whose errors are problems."""

    __slots__ = (
        "_head_bytes",
        "_header_timeout",
        "_header_timer",
        "_heads",
        "_newest_body",
    )

    def __init__(
        self, server: web.Server, *, loop: asyncio.AbstractEventLoop, settings: HttpSettings
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=seconds(settings.idle_timeout),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way to have none
            # Encoded bodies are refused, so a bomb of them is never inflated.
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
        )
        self._header_timeout = seconds(settings.header_timeout)
        self._header_timer: asyncio.TimerHandle | None = None
        self._max_msg_queue_size = _READ_AHEAD
        self._msg_queue_resume_size = _READ_AHEAD - 1
        self._heads = 0
        self._head_bytes = 0
        self._newest_body: StreamReader = EMPTY_PAYLOAD

    @property
    def requests(self) -> int:
        """See `ServedConnection.requests`."""
        return self._request_count

    @property
    def is_idle(self) -> bool:
        """See `ServedConnection.is_idle`."""
        return self._current_request is None and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect the first request from now on."""
        super().connection_made(transport)
        self._header_timer = self._loop.call_later(self._header_timeout, self._expect_request)

    def data_received(self, data: bytes) -> None:
        """Take what has come, unless it belongs to a head that grows too large."""
        super().data_received(data)
        if self._request_count > self._heads:
            self._heads = self._request_count
            self._head_bytes = 0
            self._newest_body = self._messages[-1][1] if self._messages else EMPTY_PAYLOAD
        elif self._newest_body.is_eof():
            # With the end of a body that came along, which is no more than is read at once.
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._refuse_head()

    def _refuse_head(self) -> None:
        in_hand = self._current_request is not None or self._messages
        if self.transport is not None and not in_hand:
            self.transport.write(_HEAD_TOO_LARGE)
        self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Expect nothing any more."""
        if self._header_timer is not None:
            self._header_timer.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what the client sent
    ) -> web.StreamResponse:
        """Answer what is not HTTP, which aiohttp would log word for word."""
        if request.writer.output_size > 0:
            raise ConnectionError("The answer had begun.")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            detail = "The request is not well-formed HTTP."
            _log.info("not taken as HTTP", error=type(exc).__name__)
        else:
            detail = "An unexpected error occurred; the logs have more."
            _log.error("request failed", exc_info=exc)
        response = web.Response(
            status=status, body=plain_problem(status, detail=detail), content_type=MEDIA_TYPE
        )
        response.force_close()
        return response


@asynccontextmanager
async def serve_http(
    app: web.Application, settings: HttpSettings, *, leaving: asyncio.Event, grace: float
) -> AsyncIterator[tuple[str, int]]:
    """Serve while the body runs; yields address and port.

    Once `leaving` is set, every answer says that it is the last one on its connection (RFC 9112
    section 9.6): one that is just closed may be about to carry another request. After the body,
    requests in flight have `grace` seconds to come to their end.
    """
    loop = asyncio.get_running_loop()

    async def say_goodbye(_: web.Request, response: web.StreamResponse) -> None:
        if leaving.is_set():
            response.force_close()
            # The headers are ready by now, without this one.
            response.headers["Connection"] = "close"

    app.on_response_prepare.append(say_goodbye)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=grace)
    await runner.setup()
    server = runner.server
    if server is None:
        raise AssertionError("setup() makes the server")

    peers = TrustedProxies(trusted=settings.trusted_proxies)
    places = ConnectionPlaces(
        FairShares(budget=settings.max_connections, share=settings.peer_share)
    )
    buffer = bytearray(_READ_BYTES)

    def connection() -> Connection:
        return Connection(server, loop=loop, settings=settings)

    def door() -> ConnectionLimiter:
        return ConnectionLimiter(peers=peers, places=places, serve=connection, buffer=buffer)

    try:
        listener = await loop.create_server(door, settings.host, settings.port, backlog=1024)
        try:
            yield listener.sockets[0].getsockname()[:2]
        finally:
            listener.close()
    finally:
        await runner.cleanup()


def log_address(host: str, port: int, *, identified: bool) -> None:
    """Say where clients reach the gateway, and warn if any client may do everything there."""
    if ip_address(host).is_loopback:
        _log.info("listening", host=host, port=port, reason="on loopback; see SLUICE_HTTP__HOST")
    elif identified:
        _log.info("listening", host=host, port=port, reason="clients identify themselves")
    else:
        _log.warning(
            "listening",
            host=host,
            port=port,
            reason="SLUICE_HTTP__HOST says so; clients are not identified, so any may start runs",
        )
