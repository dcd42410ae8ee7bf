"""Says that a stream is silent, without interrupting what reads it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

__all__ = ["with_heartbeats"]

T = TypeVar("T")


async def with_heartbeats(pieces: AsyncIterator[T], *, every: float) -> AsyncGenerator[T | None]:
    """Yield the pieces as they come, and None after each `every` seconds without one."""
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(_next(pieces))
            await asyncio.wait({coming}, timeout=every)
            if not coming.done():
                yield None
                continue
            done, coming = coming, None
            try:
                piece = done.result()
            except StopAsyncIteration:
                return
            yield piece
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})


async def _next(pieces: AsyncIterator[T]) -> T:
    return await anext(pieces)
