"""Keys are fetched from an issuer with bounds, and from nowhere that it sends us to."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice_gateway.adapters.oidc.key_sources import (
    MAX_BYTES,
    DiscoveredKeys,
    KeysAtAddress,
    KeysInFile,
    client_session,
)
from sluice_gateway.identity_ports import FetchError

KEYS = b'{"keys": []}'


@dataclass
class Site:
    """A server on loopback that answers as a test says, and what was asked of it."""

    address: str = ""
    answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(
        default_factory=dict
    )
    asked: list[str] = field(default_factory=list)

    def says(self, path: str, body: bytes, **more: object) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, **more)  # type: ignore[arg-type]

        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return await self.answers[request.path](request)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", site.handle)
    async with TestServer(app) as server:
        site.address = str(server.make_url("")).rstrip("/")
        yield site


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with client_session() as session:
        yield session


async def test_keys_come_from_the_address(site: Site, session: aiohttp.ClientSession) -> None:
    site.says("/keys", KEYS)
    assert await KeysAtAddress(session=session, address=f"{site.address}/keys").fetch() == KEYS


async def test_keys_come_from_where_the_issuer_publishes_them(
    site: Site, session: aiohttp.ClientSession
) -> None:
    for issuer in (f"{site.address}/a", f"{site.address}/a/"):
        document = {"issuer": issuer, "jwks_uri": f"{site.address}/keys"}
        site.says("/a/.well-known/openid-configuration", json.dumps(document).encode())
        site.says("/keys", KEYS)
        assert await DiscoveredKeys(session=session, issuer=issuer).fetch() == KEYS


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "{}/b", "jwks_uri": "{}/keys"},
        {"issuer": "{}/a"},
        {"issuer": "{}/a", "jwks_uri": "http://issuer.example/keys"},
        {"issuer": "{}/a", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{}/a", "jwks_uri": 7},
        ["a"],
        None,
    ],
)
async def test_a_description_that_is_not_the_issuers_is_refused(
    site: Site, session: aiohttp.ClientSession, document: object
) -> None:
    text = json.dumps(document).replace("{}", site.address)
    site.says("/a/.well-known/openid-configuration", text.encode())
    site.says("/keys", KEYS)
    with pytest.raises(FetchError):
        await DiscoveredKeys(session=session, issuer=f"{site.address}/a").fetch()
    assert site.asked == ["/a/.well-known/openid-configuration"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    site: Site, session: aiohttp.ClientSession, status: int
) -> None:
    site.says("/keys", b"", status=status, headers={"Location": f"{site.address}/elsewhere"})
    site.says("/elsewhere", KEYS)
    with pytest.raises(FetchError, match=str(status)):
        await KeysAtAddress(session=session, address=f"{site.address}/keys").fetch()
    assert site.asked == ["/keys"]


@pytest.mark.parametrize("status", [204, 404, 500])
async def test_another_answer_than_200_is_a_failure(
    site: Site, session: aiohttp.ClientSession, status: int
) -> None:
    site.says("/keys", b"", status=status)
    with pytest.raises(FetchError, match=str(status)):
        await KeysAtAddress(session=session, address=f"{site.address}/keys").fetch()


async def test_an_endless_answer_is_cut(site: Site, session: aiohttp.ClientSession) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)
            sent += 65536

    site.answers["/keys"] = endless
    with pytest.raises(FetchError, match=str(MAX_BYTES)):
        await KeysAtAddress(session=session, address=f"{site.address}/keys").fetch()


async def test_a_compressed_answer_is_not_unpacked(
    site: Site, session: aiohttp.ClientSession
) -> None:
    packed = gzip.compress(b" " * 10 * MAX_BYTES)
    site.says("/keys", packed, headers={"Content-Encoding": "gzip"})
    assert await KeysAtAddress(session=session, address=f"{site.address}/keys").fetch() == packed


async def test_an_issuer_that_does_not_answer_is_given_up(site: Site) -> None:
    asked = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    site.answers["/keys"] = silent
    async with client_session(timeout=0.2) as session:
        source = KeysAtAddress(session=session, address=f"{site.address}/keys")
        with pytest.raises(FetchError, match="in time"):
            await source.fetch()
    assert asked.is_set()


async def test_an_issuer_that_cannot_be_reached_is_named(
    site: Site, session: aiohttp.ClientSession
) -> None:
    port = site.address.rpartition(":")[2]
    with pytest.raises(FetchError, match=r"https://localhost:\d+/keys cannot be reached"):
        await KeysAtAddress(session=session, address=f"https://localhost:{port}/keys").fetch()


async def test_keys_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(FetchError, match=r"keys\.json"):
        await KeysInFile(path).fetch()
    path.write_bytes(KEYS)
    assert await KeysInFile(path).fetch() == KEYS
    path.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(FetchError, match="more than"):
        await KeysInFile(path).fetch()
