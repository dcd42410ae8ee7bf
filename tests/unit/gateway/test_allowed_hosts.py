"""Requests for hosts that are none of ours, as a page's DNS rebinding would send them."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.allowed_hosts import AllowedHosts
from tests.unit.gateway.harness import GREET, Gateway, running_gateway

OURS = AllowedHosts(("runs.example.com", "*.internal", "Gateway"))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:8080",
        "192.0.2.1:80",
        "[::1]",
        "[::1]:8080",
        "::1",
        "runs.example.com",
        "Runs.Example.com:443",
        "a.internal",
        "a.b.internal:1",
        "gateway:8080",
    ],
)
def test_ours(host: str) -> None:
    assert OURS.allow(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8080",
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil.example.runs.example.com",
        "127.0.0.1.evil.example",
        "internal",
        "evilinternal",
        "notlocalhost",
        "runs.example.com:80:80",
        "runs.example.com@evil.example",
        "evil.example@localhost",
        "localhost:evil.example",
        "localhost/evil.example",
        "localhost evil.example",
        "[evil.example]",
        "[localhost]",
        "[::1",
        "::1]",
        "0x7f.1",
    ],
)
def test_not_ours(host: str) -> None:
    assert not OURS.allow(host)


@given(st.text(max_size=30))
def test_a_star_allows_all_and_nothing_fails(host: str) -> None:
    assert AllowedHosts(("*",)).allow(host)
    OURS.allow(host)


@pytest.mark.parametrize("path", ["/", "/v1/runs/order-1", "/v1/runs/order-1/events", "/nothing"])
async def test_no_handler_sees_what_was_not_sent_to_us(gateway: Gateway, path: str) -> None:
    await gateway.post({"id": "order-1", **GREET})
    response = await gateway.client.get(path, headers={"Host": "evil.example"})

    document = await response.json(content_type="application/problem+json")
    assert (response.status, document["type"]) == (421, "about:blank")
    assert document["title"] == "Misdirected Request"
    assert "SLUICE_HTTP__ALLOWED_HOSTS" in document["detail"]
    assert "evil" not in await response.text()


async def test_no_run_is_started_for_another_host(gateway: Gateway) -> None:
    assert (await gateway.post(GREET, Host="evil.example")).status == 421
    assert not gateway.requests()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:80", "runs.example.com"])
async def test_ours_are_served(tmp_path: Path, host: str) -> None:
    async with running_gateway(tmp_path, allowed_hosts=OURS) as gateway:
        assert (await gateway.client.get("/", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: evil@localhost:x\r\n\r\n", 421),
        # A target in absolute form stands for the header (RFC 9112 section 3.2.2).
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
        (b"GET http://[::1]:8080/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        # HTTP/1.0 need not have one, and no browser speaks it.
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421),
    ],
)
async def test_heads_as_they_may_come(gateway: Gateway, head: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection(gateway.client.host, gateway.client.port)
    writer.write(head)
    line = await reader.readline()
    writer.close()
    assert int(line.split()[1]) == status
