"""Readers who do not read: what they hold of the gateway's memory, and what others get."""

import asyncio
import itertools
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.services.event_frames import EventFrames, EventGoneError
from sluice_gateway.services.response_budget import PIECE, ResponseBudget, ResponseLimits
from tests.unit.gateway.harness import GREET, Gateway, published, running_gateway, set_on, step

EVENTS = "/v1/runs/order-1/events"
STATE = "/v1/runs/order-1"
LARGE = "x" * 300_000
MIB = 1024 * 1024


@asynccontextmanager
async def asking(gateway: Gateway, path: str, *, clients: int) -> AsyncIterator[list[bytes]]:
    """Let clients ask for `path` and read no more than the status line of the answer."""
    loop = asyncio.get_running_loop()
    sockets = [socket.socket() for _ in range(clients)]
    try:
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.settimeout(0)
            await loop.sock_connect(each, (gateway.client.host, gateway.client.port))
            await loop.sock_sendall(each, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        yield [await loop.sock_recv(each, 12) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def traced_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def publish_large_run(gateway: Gateway, *, message: str = LARGE, events: int = 10) -> None:
    for sequence in range(1, events):
        await gateway.publish(published(sequence, message=message))
    await gateway.publish(published(events, Phase.SUCCEEDED, message=message))


def assert_little_waits(gateway: Gateway, *, connections: int) -> None:
    """See that no connection has more than a piece in its transport, nor much in the kernel."""
    runner = gateway.client.server.runner
    assert runner is not None
    assert isinstance(runner.server, web.Server)
    server = runner.server
    transports = [each.transport for each in server.connections if each.transport is not None]
    waiting = [each.get_write_buffer_size() for each in transports]
    assert len(waiting) >= connections
    assert any(waiting)
    # With the chunk's own head and end.
    assert max(waiting) <= PIECE + 16
    for each in transports:
        # The kernel doubles the value that is set, for its own bookkeeping.
        sent = each.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert sent <= 2 * PIECE


async def test_followers_who_do_not_read_hold_little_and_others_are_served(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await publish_large_run(gateway, message=LARGE * 4, events=4)
        with traced_memory():
            async with asking(gateway, EVENTS, clients=40) as answers:
                assert set(answers) == {b"HTTP/1.1 200"}
                async with gateway.client.get(EVENTS) as honest:
                    body = await honest.read()
                assert body.count(b"\nid: 1:") == 4
                assert gateway.metric("sluice_gateway_streams") == 40
                assert_little_waits(gateway, connections=40)
            # The run has 4.8 MB; a follower may hold 64 KiB, and the honest one's client the run.
            assert tracemalloc.get_traced_memory()[1] < 32 * MIB


async def test_states_that_are_not_read_do_not_pile_up(tmp_path: Path) -> None:
    few = ResponseLimits(max_bytes_per_peer=8 * MIB)
    async with running_gateway(tmp_path, outgoing=few) as gateway:
        for sequence in range(1, 4):
            steps = tuple(step(f"{sequence}-{number}-{LARGE[:10_000]}") for number in range(50))
            await gateway.publish(published(sequence, steps=steps))
        with traced_memory():
            async with asking(gateway, STATE, clients=24) as answers:
                assert set(answers) == {b"HTTP/1.1 200", b"HTTP/1.1 429"}
                assert 0 < gateway.outgoing.held <= 8 * MIB
            # The state has 3 MB; decoded and encoded, one at a time, it takes some of them.
            assert tracemalloc.get_traced_memory()[1] < 64 * MIB


async def test_a_state_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    large = tuple(step(f"{number}-{LARGE[:10_000]}") for number in range(50))
    async with running_gateway(tmp_path, limits=Limits(write_timeout=0.05)) as gateway:
        await gateway.publish(published(1, steps=large))
        cut = asyncio.Event()
        with structlog.testing.capture_logs(processors=[set_on("answer cut", cut)]):
            async with asking(gateway, STATE, clients=1):
                await cut.wait()
        assert gateway.outgoing.held == 0


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_large_state_comes_whole(gateway: Gateway, method: str) -> None:
    large = tuple(step(f"{number}-{LARGE[:10_000]}") for number in range(50))
    await gateway.publish(published(1, Phase.SUCCEEDED, steps=large))
    async with gateway.client.request(method, STATE) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        body = await response.read()
        if method == "GET":
            assert len(body) == int(response.headers["Content-Length"])
            assert len(json.loads(body)["steps"]) == 50
    async with gateway.client.get(STATE) as response:
        assert response.status == 200


class TestShares:
    async def test_one_address_follows_as_many_runs_as_one_may(self, tmp_path: Path) -> None:
        limits = ResponseLimits(max_streams=3, max_streams_per_peer=2)
        peers = TrustedProxies(trusted=(ip_network("127.0.0.0/8"),))
        async with running_gateway(tmp_path, outgoing=limits, peers=peers) as gateway:
            await gateway.publish(published(1))
            async with AsyncExitStack() as stack:
                for peer, status in (
                    ("10.0.0.1", 200),
                    ("10.0.0.1", 200),
                    ("10.0.0.1", 429),
                    ("10.0.0.2", 200),
                    ("10.0.0.3", 429),
                ):
                    response = await stack.enter_async_context(
                        gateway.client.get(EVENTS, headers={"X-Forwarded-For": peer})
                    )
                    assert (peer, response.status) == (peer, status)
                assert response.content_type == "application/problem+json"
                assert response.headers["Retry-After"] == "5"
                assert (await response.json(content_type=None))["type"] == (
                    "urn:sluice:problem:overloaded"
                )
                assert gateway.metric("sluice_gateway_outgoing_bytes") >= 3 * 2 * PIECE

    def test_bytes_are_shared_too(self) -> None:
        outgoing = ResponseBudget(ResponseLimits(max_bytes=100, max_bytes_per_peer=60))
        with ExitStack() as held:
            held.enter_context(outgoing.answer("a", 60))
            for peer, size in (("a", 1), ("b", 41)):
                with pytest.raises(ProblemError) as refused, outgoing.answer(peer, size):
                    pass
                assert (refused.value.problem.status, refused.value.retry_after) == (429, 5)
            held.enter_context(outgoing.answer("b", 40))
            assert outgoing.held == 100
        # However large, an answer can be given to somebody.
        with outgoing.answer("a", 101):
            assert outgoing.held == 101
        assert outgoing.held == 0


class TestSharing:
    async def test_all_followers_of_a_run_share_what_is_read_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running_gateway(tmp_path) as gateway:
            reads: list[int] = []
            contents = gateway.view.contents

            async def counted(key: RunKey, sequence: int, *, max_bytes: int) -> Any:
                reads.append(sequence)
                return await contents(key, sequence, max_bytes=max_bytes)

            monkeypatch.setattr(gateway.view, "contents", counted)
            await gateway.post({"id": "order-1", **GREET})

            there, all_there = itertools.count(1), asyncio.Event()

            async def reader() -> bytes:
                async with gateway.client.get(EVENTS) as response:
                    if next(there) == 20:
                        all_there.set()
                    return await response.read()

            async with asyncio.TaskGroup() as group:
                readers = [group.create_task(reader()) for _ in range(20)]
                await all_there.wait()
                for sequence in (1, 2):
                    await gateway.publish(published(sequence, message=LARGE))
                await gateway.publish(published(3, Phase.SUCCEEDED, message=LARGE))
            assert {each.result().count(b"\nid: 1:") for each in readers} == {3}
            assert sorted(reads) == [1, 2, 3]

    async def test_a_page_is_bounded_by_bytes(self, gateway: Gateway) -> None:
        await publish_large_run(gateway)
        await gateway.publish(published(1, run_id="small"), published(2, run_id="small"))
        large, small = RunKey("default", "order-1"), RunKey("default", "small")
        assert len(await gateway.view.contents(large, 1, max_bytes=1)) == 1
        assert len(await gateway.view.contents(large, 1, max_bytes=300_000)) == 1
        assert len(await gateway.view.contents(large, 1, max_bytes=400_000)) == 2
        assert len(await gateway.view.contents(small, 1, max_bytes=400_000)) == 2

    async def test_frames_are_kept_up_to_their_bytes_and_read_again(self, gateway: Gateway) -> None:
        await publish_large_run(gateway)
        key = RunKey("default", "order-1")
        frames = EventFrames(view=gateway.view, max_bytes=700_000)
        page = await gateway.view.events(key, beyond=-1, after=None, limit=10)
        assert page is not None
        first = [piece async for piece in frames.pieces(key, page.events[0], payloads=True)]
        assert max(map(len, first)) == PIECE
        for event in page.events:
            async for _ in frames.pieces(key, event, payloads=True):
                assert frames.held <= 700_000
        assert [piece async for piece in frames.pieces(key, page.events[0], payloads=True)] == first

    async def test_an_event_dropped_while_it_is_sent_is_not_taken_for_whole(
        self, gateway: Gateway
    ) -> None:
        await publish_large_run(gateway)
        key = RunKey("default", "order-1")
        frames = EventFrames(view=gateway.view, max_bytes=0)
        page = await gateway.view.events(key, beyond=-1, after=None, limit=10)
        assert page is not None
        pieces = frames.pieces(key, page.events[0], payloads=True)
        await anext(pieces)
        await gateway.store.forget()
        with pytest.raises(EventGoneError):
            await anext(pieces)
        assert [piece async for piece in frames.pieces(key, page.events[1], payloads=True)] == []
