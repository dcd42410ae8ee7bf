"""A crowd of idle and slow clients of a gateway."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from tests.support.hostile import Answers

__all__ = ["crowd"]

_GET: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_SLOW_HEAD: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
_SLOW_BODY: Final = (
    b"POST /v1/runs HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)
_OPENED_AT_A_TIME: Final = 200


@contextlib.asynccontextmanager
async def crowd(
    url: str, *, idle: int, slow_heads: int, slow_bodies: int, peers: Sequence[str]
) -> AsyncIterator[Answers]:
    """Hold connections while the context's body runs, and open each again that is closed.

    Half of the idle ones bring one request first. The slow ones send a byte a second, of a head or
    of a body. The peers share the connections equally. Yields, once each has been opened, how
    connections have ended so far.
    """
    kinds = [*[b"", _GET] * (idle // 2), *[_SLOW_HEAD] * slow_heads, *[_SLOW_BODY] * slow_bodies]
    ends: Answers = collections.Counter()
    opening = asyncio.Semaphore(_OPENED_AT_A_TIME)
    opened = [asyncio.Event() for _ in kinds]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _hold(
                    url,
                    kind,
                    peer=peers[number % len(peers)],
                    opening=opening,
                    opened=event,
                    ends=ends,
                )
            )
            for number, (kind, event) in enumerate(zip(kinds, opened, strict=True))
        ]
        for event in opened:
            await event.wait()
        yield ends
        for each in tasks:
            each.cancel()


async def _hold(
    url: str,
    begin: bytes,
    *,
    peer: str,
    opening: asyncio.Semaphore,
    opened: asyncio.Event,
    ends: Answers,
) -> None:
    """Hold one connection of the crowd, again and again."""
    to, slow = urlsplit(url), begin in (_SLOW_HEAD, _SLOW_BODY)
    while True:
        try:
            async with opening:
                reader, writer = await asyncio.open_connection(
                    to.hostname, to.port, local_addr=(peer, 0), limit=4096
                )
            writer.write(begin)
            opened.set()
            dripping = asyncio.create_task(_drip_slowly(writer)) if slow else None
            try:
                answer = await reader.read(12)
                while await reader.read(4096):
                    pass
                ends[answer[9:12].decode() or "closed"] += 1
            finally:
                if dripping is not None:
                    dripping.cancel()
                writer.transport.abort()
        except OSError as e:
            ends[type(e).__name__] += 1
        opened.set()
        await asyncio.sleep(1)


async def _drip_slowly(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(1)
        writer.write(b"a")
