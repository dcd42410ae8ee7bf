"""The loop's clock, which is virtual in tests marked `looptime`."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


def now() -> float:
    """Return the loop's time in seconds."""
    return asyncio.get_running_loop().time()


async def pause(seconds: float) -> None:
    """Let the loop's time pass by `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Let the loop's time pass until `holds` is true: threads do not use virtual time."""
    for _ in range(2000):
        if await holds():
            return
        await pause(0.1)
    raise AssertionError("it never came true")
