"""Waits for the outcome of a run, for a while."""

import asyncio
from contextlib import aclosing
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_gateway.ports import RunView
from sluice_gateway.services.event_stream import follow

__all__ = ["MAX_WAIT_S", "wait_until_over"]

MAX_WAIT_S: Final = 55
"""The longest wait, in seconds: many proxies end a silent request after 60 s."""


async def wait_until_over(view: RunView, key: RunKey, *, within: float) -> None:
    """Return when the run is over, or after `within` seconds; or when the process stops.

    Raises:
        ProblemError: UNKNOWN_RUN or UNAVAILABLE.
        ViewUnavailableError: the view failed during the wait.
    """
    try:
        async with (
            asyncio.timeout(within),
            aclosing(follow(view, key, after=None, heartbeat=within)) as pages,
        ):
            async for _ in pages:
                pass
    except TimeoutError:
        return
