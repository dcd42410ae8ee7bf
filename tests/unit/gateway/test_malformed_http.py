"""Requests that are framed ambiguously, hold too much, or nest too deep: refused, and no run."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice_gateway.settings import HttpSettings
from tests.unit.gateway.harness import GREET, Gateway, running_gateway
from tests.unit.gateway.test_http_server import connected, serving
from tests.unit.gateway.test_posting import problem_of

START = b"POST / HTTP/1.1\r\nHost: a\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5_0\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
        b"X: a\r\n\x00Content-Length: 5\r\n",
    ],
)
async def test_a_body_with_two_ends_is_refused_and_hides_no_request(head: bytes) -> None:
    """A proxy in front that reads the other end would take what follows for another request."""
    async with serving() as address, connected(address) as (reader, writer):
        writer.write(START + head + b"\r\n0\r\n\r\n" + HIDDEN)
        answer = await reader.read()
    assert answer.split(b" ")[1] == b"400"
    assert answer.count(b"HTTP/1.") == 1


@pytest.mark.parametrize(
    "head",
    [b"".join(b"X-%d: a\r\n" % number for number in range(1000)), b"X: %b\r\n" % (b"a" * 20_000)],
    ids=["many", "long"],
)
async def test_a_head_with_too_much_is_refused(head: bytes) -> None:
    async with serving() as address, connected(address) as (reader, writer):
        writer.write(START + head + b"\r\n")
        answer = await reader.read()
    assert answer.split(b" ")[1] == b"400"


async def test_a_slow_head_on_a_connection_in_use_is_not_waited_for_either() -> None:
    """Its bytes come, one by one; only a whole head makes the connection one in use again."""
    idle_timeout = HttpSettings().idle_timeout / 1500
    async with (
        serving(idle_timeout=idle_timeout) as address,
        connected(address) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"hello")
        ended = asyncio.ensure_future(reader.read())
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait({ended}, timeout=0.001)
        # Closed, or reset because of the last byte.
        assert isinstance(ended.exception(), ConnectionError) or ended.result() == b""


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"[" * 1000 + b"]" * 1000, 400),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, 400),
        (b"[" * 1000, 400),
        (b"[" * 700_000 + b"]" * 700_000, 413),
        (b"[" * 1_000_000, 413),
        (b"1" * 1_000_000, 400),
        (b"1e999999999", 400),
        (b"-1e400", 400),
        (b"NaN", 400),
    ],
    ids=["lists", "objects", "open", "many", "many-open", "digits", "exponent", "negative", "nan"],
)
async def test_deep_and_huge_values_are_refused(
    gateway: Gateway, value: bytes, status: int
) -> None:
    body = b'{"workflow": "greet", "parameters": {"name": %b}}' % value
    response = await gateway.client.post(
        "/v1/runs", data=io.BytesIO(body), headers={"Content-Type": "application/json"}
    )
    kind = "malformed-json" if status == 400 else "too-large"
    await problem_of(response, status=status, kind=kind)
    assert (await gateway.post(GREET)).status == 202
    assert len(gateway.requests()) == 1
