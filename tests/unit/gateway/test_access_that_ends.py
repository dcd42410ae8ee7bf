"""Streams end with what opened them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import cast

import pytest
from aiohttp import ClientResponse

from sluice_contracts.api_keys import SECRET_BYTES, digest, write_key
from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.api_keys import ApiKey, ApiKeys, Secret
from sluice_gateway.domain.identity import (
    EVERYTHING,
    Grant,
    Grants,
    Principal,
    PrincipalKind,
    Scope,
    WatchedRun,
)
from sluice_gateway.domain.key_ring import KeyRing, RingKey
from sluice_gateway.domain.reach import Area
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.handlers.identification import SESSION_COOKIE
from sluice_gateway.identity_ports import Credentials, UnauthenticatedError
from sluice_gateway.ports import Subscription
from sluice_gateway.services.all_event_stream import follow_all
from sluice_gateway.services.api_key_authentication import ApiKeyAuthenticator
from sluice_gateway.services.authentication import AuthenticatorChain
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.identification import GrantedIdentification
from sluice_gateway.services.response_budget import PIECE
from sluice_gateway.services.sessions import Sessions
from sluice_gateway.services.shared_pages import FramePage, SharedPages
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.services.watch_links import WatchLinks
from tests.support.fake_view import EmptyView
from tests.unit.gateway.harness import NOW, Gateway, published, running_gateway

HOUR = timedelta(hours=1)
KEY = write_key("4fT9kQ2mZx8B", b"\x01" * SECRET_BYTES)
TOKEN = "a.b.c"
ENDED = ": access ended, connect again"
EVENTS = "/v1/runs/order-1/events"


def keys(*, expires_at: datetime | None = None) -> ApiKeys:
    secret = Secret(sha256=digest(KEY), expires_at=expires_at)
    return ApiKeys([ApiKey(id=KEY[4:16], principal="ci", secrets=(secret,))])


def grants(*scopes: Scope) -> Grants:
    everywhere = Area(tenants=frozenset({"*"}), workflows=frozenset({"*"}))
    names = frozenset({"api_key:ci", "user:ada", "workload:ci"})
    return Grants((Grant(area=everywhere, scopes=frozenset(scopes), principals=names),))


@dataclass(kw_only=True)
class World:
    """What decides who is let in, as it is now."""

    now: datetime = NOW
    keys: ApiKeys = field(default_factory=keys)
    grants: Grants = field(default_factory=lambda: grants(Scope.READ, Scope.PAYLOADS))
    ring: KeyRing = field(default_factory=lambda: KeyRing((RingKey(id="a", secret=b"a" * 32),)))
    token_is_good: bool = True
    looks_left: float = inf

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Stand in for the verification of tokens."""
        self.looks_left -= 1
        if not self.token_is_good or self.looks_left < 0:
            raise UnauthenticatedError("expired")
        return Principal(kind=PrincipalKind.WORKLOAD, id="ci")

    def later(self) -> None:
        """Let more time pass than sessions and links last."""
        self.now += 2 * HOUR

    def without_key(self) -> None:
        """Withdraw the API key."""
        self.keys = ApiKeys()

    def expire_key(self) -> None:
        """Set an end to the API key."""
        self.keys = keys(expires_at=NOW)

    def without_grants(self) -> None:
        """Grant nothing any more."""
        self.grants = Grants()

    def without_payloads(self) -> None:
        """Grant less than before."""
        self.grants = grants(Scope.READ)

    def without_ring_key(self) -> None:
        """Renew the gateway's own secrets."""
        self.ring = KeyRing((RingKey(id="b", secret=b"b" * 32),))

    def without_token(self) -> None:
        """Let the token expire."""
        self.token_is_good = False


class Opened:
    """A gateway with a world, and the ways into it."""

    def __init__(
        self, gateway: Gateway, world: World, *, sessions: Sessions, links: WatchLinks
    ) -> None:
        ada = Principal(kind=PrincipalKind.USER, id="ada")
        watched = WatchedRun(key=RunKey("default", "order-1"), workflow="greet", payloads=True)
        self.gateway, self.world = gateway, world
        self.ways: Mapping[str, tuple[dict[str, str], dict[str, str]]] = {
            "key": ({"Authorization": f"Bearer {KEY}"}, {}),
            "token": ({"Authorization": f"Bearer {TOKEN}"}, {}),
            "session": ({"Cookie": f"{SESSION_COOKIE}={sessions.cookie(ada)}"}, {}),
            "link": ({}, {"watch": links.token(watched)}),
        }

    @asynccontextmanager
    async def stream(
        self, way: str, path: str = EVENTS, *, accept: str = "text/event-stream"
    ) -> AsyncIterator[ClientResponse]:
        headers, params = self.ways[way]
        async with self.gateway.client.get(
            path, headers={**headers, "Accept": accept}, params=params
        ) as response:
            yield response


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with opening(tmp_path, keepalive=0.01) as opened:
        yield opened


@asynccontextmanager
async def opening(tmp_path: Path, *, keepalive: float) -> AsyncIterator[Opened]:
    world = World()
    sessions = Sessions(ring=lambda: world.ring, lifetime=HOUR, now=lambda: world.now, random=bytes)
    links = WatchLinks(ring=lambda: world.ring, lifetime=HOUR, now=lambda: world.now)
    chain = AuthenticatorChain(
        api_keys=ApiKeyAuthenticator(lambda: world.keys, now=lambda: world.now),
        tokens=world,
        sessions=sessions,
        watch_links=links,
    )
    identification = GrantedIdentification(chain, grants=lambda: world.grants)
    async with running_gateway(
        tmp_path, identification=identification, limits=Limits(keepalive=keepalive)
    ) as gateway:
        await gateway.publish(published(1, Phase.RUNNING))
        yield Opened(gateway, world, sessions=sessions, links=links)


async def rest(response: ClientResponse) -> list[str]:
    """Read the stream to its end, and give its last lines."""
    async with asyncio.timeout(30):
        return (await response.text()).rstrip("\n").split("\n")


class TestAccessThatEnds:
    """Of streams of one run, by each way in, while nothing happens to the run."""

    @pytest.mark.parametrize(
        ("way", "end", "status"),
        [
            ("key", World.without_key, 401),
            ("key", World.expire_key, 401),
            ("key", World.without_grants, 403),
            ("token", World.without_token, 401),
            ("token", World.without_grants, 403),
            ("session", World.later, 401),
            ("session", World.without_ring_key, 401),
            ("session", World.without_grants, 403),
            ("link", World.later, 401),
            ("link", World.without_ring_key, 401),
        ],
    )
    async def test_ends_the_stream_and_refuses_the_next_one(
        self, opened: Opened, way: str, end: Callable[[World], None], status: int
    ) -> None:
        async with opened.stream(way) as response:
            assert response.status == 200
            assert await response.content.readuntil(b": keepalive\n\n")
            end(opened.world)
            assert (await rest(response))[-1] == ENDED
        async with opened.stream(way) as again:
            assert again.status == status

    async def test_what_is_granted_by_then_counts(self, opened: Opened) -> None:
        await opened.gateway.publish(published(2, Phase.RUNNING, message="secret"))
        async with opened.stream("key") as response:
            assert b"secret" in await response.content.readuntil(b": keepalive\n\n")
            opened.world.without_payloads()
            assert (await rest(response))[-1] == ENDED
        async with opened.stream("key") as again:
            assert b"secret" not in await again.content.readuntil(b": keepalive\n\n")

    async def test_lines_say_it_as_well(self, opened: Opened) -> None:
        async with opened.stream("link", accept="application/x-ndjson") as response:
            await response.content.readline()
            opened.world.later()
            last = json.loads((await rest(response))[-1])
        assert last == {"id": None, "event": "access-ended", "data": None}


async def test_a_stream_goes_on_while_its_access_does(opened: Opened) -> None:
    async with opened.stream("session") as response:
        for _ in range(20):
            await response.content.readuntil(b": keepalive\n\n")
        await opened.gateway.publish(published(2, Phase.SUCCEEDED))
        assert "sluice.run.succeeded" in "".join(await rest(response))


async def test_the_end_of_an_access_ends_its_stream_of_all_runs(opened: Opened) -> None:
    async with opened.stream("key", "/v1/events") as response:
        assert await response.content.readuntil(b": keepalive\n")
        opened.world.without_key()
        assert (await rest(response))[-1] == ENDED


@pytest.mark.parametrize("path", [EVENTS, "/v1/events"])
@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_events_before_the_end_are_whole(tmp_path: Path, path: str, accept: str) -> None:
    """Access ends while one is sent that is larger than what is sent at a time."""
    async with opening(tmp_path, keepalive=1e-9) as opened:
        await opened.gateway.publish(published(2, message="x" * 2 * PIECE))
        headers = opened.ways["token"][0] | {"Accept": accept, "Last-Event-ID": "1:0"}
        for looks in range(5):
            # The first one is when the stream is opened.
            opened.world.looks_left = 1 + looks
            async with opened.gateway.client.get(path, headers=headers) as response:
                text = "\n".join(await rest(response))
            lines = text.split("\n")
            if accept == "text/event-stream":
                assert lines[-2:] == ["", ENDED]
                lines = [line[6:] for line in lines if line.startswith("data: ")]
            for each in lines:
                # Fails if one is cut.
                json.loads(each)


class BusyPages:
    """Pages in which there is always something, once a second, and nothing for this reader."""

    @asynccontextmanager
    async def page(self, *_: object, after: StreamPlace, **__: object) -> AsyncIterator[FramePage]:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1)
        offset = after.next_offsets["0"]
        yield FramePage(frames=b"", place=after.after("0", offset))


class BusyView(EmptyView):
    """A view in which runs of others always change."""

    def subscribe_all(self) -> AbstractContextManager[Subscription]:
        return RunSubscriptions().subscribe_all()


@pytest.mark.looptime
async def test_a_stream_says_something_while_only_other_runs_have_events() -> None:
    """Else it would not be looked after, and proxies would cut it."""
    clock = asyncio.get_running_loop()
    began, times = clock.time(), []
    pages = follow_all(
        BusyView(),
        cast("SharedPages", BusyPages()),
        RunFilter(tenant="acme"),
        after=StreamPlace(next_offsets={"0": 0}),
        form=FrameFormat.SSE,
        payloads=EVERYTHING.reach(Scope.PAYLOADS),
        heartbeat=15,
    )
    async with aclosing(pages), asyncio.timeout(100):
        async for _ in pages:
            times.append(clock.time() - began)
            if len(times) == 3:
                break
    assert times == [1, 16, 31]
