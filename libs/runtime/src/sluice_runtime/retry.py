"""The one loop that repeats a step until its dependency answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sluice_runtime.backoff import Backoff

__all__ = ["retry_forever"]

T = TypeVar("T")


async def retry_forever(
    step: Callable[[], Awaitable[T]],
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    backoff: Backoff,
    on_retry: Callable[[Exception, float], None],
) -> T:
    """Return what `step` returns; repeat it for as long as it raises one of `on`.

    Args:
        step: one attempt. Repeating it must do no harm.
        on: errors to retry; all others pass through.
        backoff: pauses between attempts. An error with a `retry_after` (seconds, as in the HTTP
            header Retry-After) makes the pause at least that long.
        on_retry: called with the error and the pause in seconds, before each pause and while the
            error is being handled, so that it can log, count or change what it waits for.
    """
    failures = 0
    while True:
        try:
            return await step()
        except on as e:
            failures += 1
            pause = backoff.delay(failures, at_least=getattr(e, "retry_after", 0.0))
            on_retry(e, pause)
        await asyncio.sleep(pause)
