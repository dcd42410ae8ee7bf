"""How long parts of the process live beside each other."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["delay_shutdown", "end_of", "running"]


@asynccontextmanager
async def running(
    work: Coroutine[Any, Any, None], *, name: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Run the work beside the body, and end it afterwards."""
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def end_of(task: asyncio.Task[None]) -> None:
    """Wait for the task to end; a caller that stops waiting does not stop it."""
    await asyncio.shield(task)


async def delay_shutdown(stop: asyncio.Event, gone: asyncio.Event, *, after: float) -> None:
    """Let everything go on for a while after `stop`: others hear late that this one goes."""
    await stop.wait()
    await asyncio.sleep(after)
    gone.set()
