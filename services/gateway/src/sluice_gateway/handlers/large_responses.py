"""Sends what may be large to readers who may be slow: a piece at a time, each within a time."""

import asyncio
import socket
from typing import Final

import structlog
from aiohttp import web

from sluice_gateway.handlers.app_keys import LIMITS, RESPONSE_BUDGET
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.services.response_budget import PIECE

__all__ = ["abort", "begin", "refuse_closed", "send_body", "write"]

_log = structlog.get_logger(__name__)

# The kernel's buffer counts as the process's memory, too; unset, it grows to some megabytes.
_KERNEL_BUFFER: Final = PIECE


async def begin(request: web.Request, response: web.StreamResponse) -> None:
    """Send the head of an answer, and hold no more than a piece of it from now on."""
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=0)
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
    await response.prepare(request)


async def write(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Write a piece and wait until the kernel has all of it.

    Raises:
        TimeoutError: the reader does not read.
        ConnectionError: the reader is gone.
    """
    async with asyncio.timeout(request.app[LIMITS].write_timeout):
        await response.write(piece)
        await request.writer.drain()


def refuse_closed(request: web.Request) -> None:
    """Notice that a reader has left to whom nothing is written.

    Raises:
        ConnectionError: the reader is gone.
    """
    if request.transport is None or request.transport.is_closing():
        raise ConnectionError("The reader is gone.")


async def send_body(
    request: web.Request, body: bytes, *, headers: dict[str, str], status: int = 200
) -> web.StreamResponse:
    """Answer with a body that may be large; it counts as held until it is sent.

    Raises:
        ProblemError: OVERLOADED, too much is held already.
    """
    if request.method == "HEAD" or len(body) <= PIECE:
        return web.Response(status=status, body=body, headers=headers)
    with request.app[RESPONSE_BUDGET].answer(client_address(request), len(body)):
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        try:
            await begin(request, response)
            for start in range(0, len(body), PIECE):
                await write(request, response, body[start : start + PIECE])
            await response.write_eof()
        except TimeoutError:
            _log.info("answer cut, its reader does not read", path=request.path)
            abort(request)
        return response


def abort(request: web.Request) -> None:
    """Cut the connection: nobody should take what was sent for the whole."""
    if request.transport is not None:
        request.transport.abort()
