"""Reads the body of a request, as far as there is room for it."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Final

from aiohttp import web

from sluice_contracts.problems import ProblemType
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.minimum_rate import MinimumRate
from sluice_gateway.handlers.app_keys import IDENTITY, LIMITS, LOAD_SHEDDER
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.services.load_shedding import AdmittedRequest

__all__ = ["admitted_body", "expect_body", "wait_for_topics"]

_ADMITTED: Final = web.RequestKey("admitted", AdmittedRequest)


def admitted_body(request: web.Request) -> AbstractAsyncContextManager[list[bytes]]:
    """Return a context with the body in pieces; until its end the request counts as in flight.

    Raises:
        ProblemError: when it is entered: TOO_LARGE or OVERLOADED.
        HTTPException: the body came too slowly (408), or not as HTTP asks for (400).
    """
    return _AdmittedBody(request)


class _AdmittedBody:
    # A class, because a generator takes three times as long.
    __slots__ = ("_admitted", "_request")

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._admitted = request.app[LOAD_SHEDDER].admitted(client_address(request))

    async def __aenter__(self) -> list[bytes]:
        request = self._request
        if (request.content_length or 0) > MAX_REQUEST_BYTES:
            raise _too_large()
        admitted = request[_ADMITTED] = self._admitted.__enter__()
        try:
            pieces = await _body(request, admitted)
            admitted.begin()
        except BaseException:
            admitted.release()
            raise
        return pieces

    async def __aexit__(self, *_: object) -> None:
        self._admitted.release()


def wait_for_topics(request: web.Request, tenant: str, scope: Scope) -> None:
    """Hold a place, within `admitted_body`, among those that wait for the topics of a tenant.

    Without a grant for the tenant there is nothing to wait for.

    Raises:
        ProblemError: UNAVAILABLE, too many wait for them; nothing should be written.
    """
    if request[IDENTITY].access.reach(scope).has_tenant(tenant):
        request[_ADMITTED].wait_for(tenant)


async def expect_body(request: web.Request) -> None:
    """Send `100 Continue` to a client that waits for it, unless its body is too large anyway.

    RFC 9110 section 10.1.1; the answer follows either way.
    """
    if (request.content_length or 0) <= MAX_REQUEST_BYTES:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # An interim answer is not yet the answer.
        request.writer.output_size = 0


async def _body(request: web.Request, admitted: AdmittedRequest) -> list[bytes]:
    loop, limits = asyncio.get_running_loop(), request.app[LIMITS]
    pace = MinimumRate(
        begin=loop.time(),
        rate=limits.body_rate,
        grace=limits.body_grace,
        longest=limits.body_timeout,
    )
    pieces: list[bytes] = []
    size = 0
    try:
        while True:
            if request.content.is_eof():
                # Most bodies come with their head: there is nothing to wait for.
                chunk = request.content.read_nowait()
            else:
                async with asyncio.timeout_at(pace.deadline):
                    chunk = await request.content.readany()
            if not chunk:
                return pieces
            size += len(chunk)
            if size > MAX_REQUEST_BYTES:
                raise _too_large()
            admitted.add(len(chunk))
            pieces.append(chunk)
            pace.advance(len(chunk), now=loop.time())
    except TimeoutError as e:
        raise web.HTTPRequestTimeout(
            text="The body came too slowly, or not at all. Nothing was started.",
            headers={"Connection": "close"},
        ) from e
    except web.RequestPayloadError as e:
        raise web.HTTPBadRequest(
            text="The body is not transferred as HTTP asks for.", headers={"Connection": "close"}
        ) from e


def _too_large() -> ProblemError:
    return ProblemError.of(
        ProblemType.TOO_LARGE, f"The body is too large; {MAX_REQUEST_BYTES} bytes are allowed."
    )
