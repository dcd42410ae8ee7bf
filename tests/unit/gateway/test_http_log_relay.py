"""What the gateway makes of the log-relay's answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice_contracts.ids import RunKey
from sluice_gateway.adapters.log_relay import HttpLogRelay
from sluice_gateway.domain.logged_steps import LoggedStep
from sluice_gateway.services.log_relay import (
    LogGoneError,
    LogRefusedError,
    LogUnavailableError,
)

STEP = LoggedStep(
    key=RunKey("default", "order-1"),
    namespace="argo",
    uid="u1",
    node_id="order-1-1",
    template=None,
    starting=False,
    archived=None,
)


class Relay:
    """A server that gives one status, and notes the secrets that it gets."""

    def __init__(self) -> None:
        self.status = 200
        self.given: list[str] = []
        self.cut = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.given.append(request.headers["Authorization"])
        if request.query["follow"] == "false":
            return web.Response(status=self.status, body=b"a log")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await self.cut.wait()
        assert request.transport is not None
        request.transport.abort()
        return response


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
async def adapter(relay: Relay) -> AsyncIterator[HttpLogRelay]:
    app = web.Application()
    app.router.add_get("/v1/log", relay.answer)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        adapter = HttpLogRelay(url, secrets=lambda: (b"first", b"second"))
        try:
            yield adapter
        finally:
            await adapter.close()


async def read(adapter: HttpLogRelay) -> bytes:
    async with adapter.open(STEP, tail=None, since=None, follow=False) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_log_is_read_with_the_first_secret(adapter: HttpLogRelay, relay: Relay) -> None:
    assert await read(adapter) == b"a log"
    assert relay.given == ["Bearer first"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, LogRefusedError),
        (404, LogGoneError),
        (400, LogUnavailableError),
        (302, LogUnavailableError),
        (503, LogUnavailableError),
    ],
)
async def test_each_refusal_has_its_error(
    adapter: HttpLogRelay, relay: Relay, status: int, error: type[Exception]
) -> None:
    relay.status = status
    with pytest.raises(error) as raised:
        await read(adapter)
    assert type(raised.value) is error


async def test_a_log_that_breaks_while_it_is_read_is_unavailable(
    adapter: HttpLogRelay, relay: Relay
) -> None:
    async with adapter.open(STEP, tail=None, since=None, follow=True) as chunks:
        assert await anext(chunks) == b"half"
        relay.cut.set()
        with pytest.raises(LogUnavailableError) as raised:
            await anext(chunks)
    assert type(raised.value) is LogUnavailableError


async def test_closing_ends_what_is_being_read(adapter: HttpLogRelay, relay: Relay) -> None:
    async with adapter.open(STEP, tail=None, since=None, follow=True) as chunks:
        assert await anext(chunks) == b"half"
        reading = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        await adapter.close()
        with pytest.raises(LogUnavailableError):
            await reading
    relay.cut.set()


async def test_a_relay_that_is_closed_is_unavailable(adapter: HttpLogRelay) -> None:
    await adapter.close()
    with pytest.raises(LogUnavailableError) as raised:
        await read(adapter)
    assert type(raised.value) is LogUnavailableError
