"""HTTP on the wire: what slow, silent, many and malformed clients get."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import structlog
import uvloop
from aiohttp import ClientSession, web

from sluice_gateway.adapters.connection_limit import ConnectionLimiter, ConnectionPlaces
from sluice_gateway.adapters.http_server import Connection, serve_http
from sluice_gateway.domain.fair_shares import FairShares
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.settings import HttpSettings


async def hello(request: web.Request) -> web.Response:
    return web.Response(body=await request.read() or b"hello")


@asynccontextmanager
async def serving(
    *, leaving: asyncio.Event | None = None, **settings: Any
) -> AsyncIterator[tuple[str, int]]:
    app = web.Application()
    app.router.add_route("*", "/", hello)
    async with serve(app, leaving=leaving, **settings) as address:
        yield address


def serve(
    app: web.Application, *, leaving: asyncio.Event | None = None, **settings: Any
) -> AbstractAsyncContextManager[tuple[str, int]]:
    http_settings = HttpSettings(port=0, **settings)
    return serve_http(app, http_settings, leaving=leaving or asyncio.Event(), grace=5.0)


@asynccontextmanager
async def connected(
    address: tuple[str, int], *, of: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address, local_addr=(of, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def problem_on(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, Any]]:
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    document = json.loads(body)
    assert isinstance(document, dict)
    return head.splitlines()[0], document


async def test_requests_are_served() -> None:
    async with serving() as (host, port), ClientSession() as client:
        assert (await client.get(f"http://{host}:{port}/")).status == 200


def test_they_are_served_on_the_event_loop_of_the_services() -> None:
    async def large_and_many() -> None:
        async with (
            serving(max_connections=4, peer_share=1.0) as (host, port),
            ClientSession() as client,
        ):

            async def echoed(letter: bytes) -> bytes:
                data = letter * 1_000_000
                async with client.post(f"http://{host}:{port}/", data=data) as response:
                    return await response.read()

            bodies = await asyncio.gather(*(echoed(letter) for letter in (b"a", b"b", b"c", b"d")))
            assert [(len(body), *set(body)) for body in bodies] == [
                (1_000_000, letter) for letter in b"abcd"
            ]
            # Their connections are still open.
            async with connected((host, port)) as (reader, _):
                status, _ = await problem_on(reader)
                assert b" 503 " in status

    uvloop.run(large_and_many())


async def test_a_connection_without_a_request_is_closed() -> None:
    async with (
        serving(header_timeout=timedelta(milliseconds=1)) as address,
        connected(address) as (reader, _),
    ):
        assert await reader.read() == b""


async def test_a_head_that_does_not_end_is_not_waited_for() -> None:
    async with (
        serving(header_timeout=timedelta(milliseconds=1)) as address,
        connected(address) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert await reader.read() == b""


class ImaginaryTransport(asyncio.Transport):
    """Remembers what was written, and whether it is closed or its reading paused."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.flowing = asyncio.Event()
        self.flowing.set()

    def pause_reading(self) -> None:
        self.flowing.clear()

    def resume_reading(self) -> None:
        self.flowing.set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.mark.looptime
@pytest.mark.parametrize("in_time", [True, False])
async def test_only_the_first_request_has_to_come_in_time(in_time: bool) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response()

    loop = asyncio.get_running_loop()
    connection = imaginary(web.Server(answer))
    later = asyncio.Event()
    loop.call_later(9.9 if in_time else 10.1, later.set)
    await later.wait()
    assert connection.transport.closed is not in_time
    if in_time:
        connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        later.clear()
        loop.call_later(60, later.set)
        await later.wait()
        assert connection.transport.written.startswith(b"HTTP/1.1 200")
        assert not connection.transport.closed
    connection.close()


async def test_little_is_read_of_a_body_that_nobody_reads() -> None:
    connection = imaginary(web.Server(_never))
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    read = 0
    while connection.transport.flowing.is_set():
        read += connection.receive(b" " * 1_000_000)
    assert read <= 64 * 1024
    connection.close()


@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_head_too_large_in_all_is_not_collected(pipelined: bool) -> None:
    connection = imaginary(web.Server(_never))
    if pipelined:
        connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    read = 0
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n")
    while not connection.transport.closed and read < 500_000:
        line = b"X-%d: %b\r\n" % (read, b"a" * 4000)
        read += connection.receive(line)
    assert read <= 48 * 1024
    assert connection.transport.written.startswith(b"" if pipelined else b"HTTP/1.1 431 ")
    connection.close()


async def test_large_bodies_are_not_limited_as_heads() -> None:
    """However a body and the next head fall into what is read at once."""

    sizes: list[int] = []
    all_read = asyncio.Event()

    async def read(request: web.BaseRequest) -> web.Response:
        sizes.append(len(await request.read()))
        if len(sizes) == 10:
            all_read.set()
        return web.Response()

    connection = imaginary(web.Server(read))
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX: %b\r\n" % (b"a" * 8000)
    whole = head + b"Content-Length: 100000\r\n\r\n" + b" " * 100_000
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + b" " * 100_000
    sent = (whole + chunked + b"\r\n0\r\n\r\n") * 5
    while sent:
        await connection.transport.flowing.wait()
        sent = sent[connection.receive(sent) :]
    await all_read.wait()
    assert sizes == [100_000] * 10
    connection.close()


async def test_few_requests_are_read_ahead() -> None:
    connection = imaginary(web.Server(_never))
    read = 0
    while connection.transport.flowing.is_set():
        head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %b\r\n" % (b"a" * 8000) * 2 + b"\r\n"
        read += connection.receive(head)
    assert read <= 64 * 1024
    connection.close()


async def _never(_: web.BaseRequest) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@dataclass(frozen=True)
class ImaginaryConnection:
    """A stand-in for a connection, as the event loop would serve it."""

    door: ConnectionLimiter
    transport: ImaginaryTransport

    def receive(self, data: bytes) -> int:
        """Let some of it come, as much as is read at once; gives how much."""
        buffer = self.door.get_buffer(-1)
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        self.door.buffer_updated(size)
        return size

    def close(self) -> None:
        self.door.connection_lost(None)


def imaginary(server: web.Server) -> ImaginaryConnection:
    loop = asyncio.get_running_loop()
    door = ConnectionLimiter(
        peers=TrustedProxies(trusted=()),
        places=ConnectionPlaces(FairShares(budget=1, share=1.0)),
        serve=lambda: Connection(server, loop=loop, settings=HttpSettings()),
        buffer=bytearray(16 * 1024),
    )
    transport = ImaginaryTransport()
    door.connection_made(transport)
    return ImaginaryConnection(door, transport)


async def test_a_failure_that_no_middleware_saw_is_a_problem_too() -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        raise RuntimeError("a secret")

    app = web.Application()
    app.router.add_get("/", broken)
    async with (
        serve(app) as address,
        connected(address) as (reader, writer),
    ):
        with structlog.testing.capture_logs() as logs:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            status, document = await problem_on(reader)
        assert b" 500 " in status
        assert "secret" not in json.dumps(document)
        assert [log["event"] for log in logs] == ["request failed"]


async def test_a_failure_behind_the_head_of_an_answer_cuts_the_connection() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"some")
        raise RuntimeError("broken")

    app = web.Application()
    app.router.add_get("/", broken)
    async with (
        serve(app) as address,
        connected(address) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await reader.read()
        assert answer.endswith(b"some\r\n")
        assert answer.count(b"HTTP/1.1") == 1


async def test_an_idle_connection_is_closed() -> None:
    async with (
        serving(idle_timeout=timedelta(milliseconds=10)) as address,
        connected(address) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")


async def test_a_connection_above_the_limit_gets_a_problem() -> None:
    async with serving(max_connections=1) as address, connected(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"hello")
        async with connected(address) as (refused, _):
            status, document = await problem_on(refused)
            assert (status, document["status"]) == (b"HTTP/1.1 503 Service Unavailable", 503)


async def test_one_peer_cannot_take_all_connections() -> None:
    async with serving(max_connections=4) as address, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(served(address, of="127.0.0.2"))
        async with connected(address, of="127.0.0.2") as (reader, _):
            status, document = await problem_on(reader)
            assert b" 503 " in status
            assert "from your address" in document["detail"]
        async with served(address):
            await stack.aclose()
            # Once the server has seen that they are closed, there is room again.
            while not await is_served(address, of="127.0.0.2"):
                pass


async def test_idle_connections_of_many_peers_make_room_for_another() -> None:
    async with serving(max_connections=4) as address, contextlib.AsyncExitStack() as stack:
        silent = [
            await stack.enter_async_context(connected(address, of=f"127.0.0.{peer}"))
            for peer in (2, 2, 3)
        ]
        # The first one takes the last place.
        async with served(address), served(address):
            assert await silent[0][0].read() == b""
            for _, writer in silent[1:]:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            for reader, _ in silent[1:]:
                assert (await reader.read()).endswith(b"hello")


async def test_connections_with_requests_make_no_room() -> None:
    begun = asyncio.Semaphore(0)

    async def wait(_: web.Request) -> web.Response:
        begun.release()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    app = web.Application()
    app.router.add_get("/", wait)
    async with (
        serve_http(
            app, HttpSettings(port=0, max_connections=2), leaving=asyncio.Event(), grace=0.01
        ) as address,
        contextlib.AsyncExitStack() as stack,
    ):
        for peer in ("127.0.0.2", "127.0.0.3"):
            _, writer = await stack.enter_async_context(connected(address, of=peer))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.acquire()
        async with connected(address) as (reader, _):
            status, _ = await problem_on(reader)
            assert b" 503 " in status


async def test_the_longest_idle_connection_makes_room_first() -> None:
    peer = "127.0.0.2"
    async with (
        serving(max_connections=3, peer_share=1.0) as address,
        connected(address, of=peer) as (first, writer),
        connected(address, of=peer) as (second, _),
        served(address, of=peer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await first.readuntil(b"hello")
        async with served(address):
            assert await second.read() == b""
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await first.read()).endswith(b"hello")


async def test_a_trusted_proxy_may_take_all_connections() -> None:
    proxies = ("127.0.0.2/32",)
    async with (
        serving(max_connections=2, trusted_proxies=proxies) as address,
        served(address, of="127.0.0.2"),
        served(address, of="127.0.0.2"),
        connected(address) as (reader, _),
    ):
        status, _ = await problem_on(reader)
        assert b" 503 " in status


@asynccontextmanager
async def served(address: tuple[str, int], *, of: str = "127.0.0.1") -> AsyncIterator[None]:
    """Hold a connection of a peer on which a request has been answered."""
    async with connected(address, of=of) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"hello")
        yield


async def is_served(address: tuple[str, int], *, of: str) -> bool:
    """Say whether the peer's next connection is served."""
    async with connected(address, of=of) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_invalid_http_gets_a_problem_that_repeats_nothing() -> None:
    async with serving() as address, connected(address) as (reader, writer):
        writer.write(b"A SECRET\r\n\r\n")
        status, document = await problem_on(reader)
        assert b" 400 " in status
        assert document["type"] == "about:blank"
        assert "SECRET" not in json.dumps(document)


async def test_a_request_with_two_lengths_is_refused() -> None:
    async with serving() as address, connected(address) as (reader, writer):
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
        )
        status, _ = await problem_on(reader)
        assert b" 400 " in status


async def test_a_compressed_body_is_not_inflated() -> None:
    async with serving() as address, connected(address) as (reader, writer):
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nBOMB"
        )
        assert (await reader.readuntil(b"BOMB")).startswith(b"HTTP/1.1 200")


async def test_requests_in_hand_are_finished_and_no_more_are_taken() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        begun.set()
        await finish.wait()
        return web.Response(body=b"done")

    app = web.Application()
    app.router.add_get("/", slow)
    stop = asyncio.Event()
    address: list[tuple[str, int]] = []

    async def run() -> None:
        async with serve(app) as bound:
            address.append(bound)
            begun.set()
            await stop.wait()

    running = asyncio.create_task(run())
    await begun.wait()
    begun.clear()
    async with connected(address[0]) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        stop.set()
        closed = asyncio.create_task(_refused(address[0]))
        await closed
        finish.set()
        assert (await reader.read()).endswith(b"done")
        await running


async def test_a_leaving_server_says_so_with_every_answer() -> None:
    leaving = asyncio.Event()
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(leaving=leaving) as address, connected(address) as (reader, writer):
        writer.write(request)
        assert b"close" not in await reader.readuntil(b"hello")
        leaving.set()
        writer.write(request)
        async with connected(address) as (late, late_writer):
            late_writer.write(request)
            for answer in (await reader.read(), await late.read()):
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert b"Connection: close" in answer


async def _refused(address: tuple[str, int]) -> None:
    """Wait until nobody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection(*address)
        except ConnectionError:
            return
        writer.close()
