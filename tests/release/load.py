"""Requests at a steady rate, whatever the answers: nobody waits for the one before."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp

from tests.support.kafka import unique_name

_CONNECTIONS = 32
# Soon enough that the dispatcher finds most of them expired: no node could run so many.
_EXPIRES = timedelta(seconds=0.2)


@dataclass
class Load:
    """What was asked and answered: `accepted` holds the ids of the runs that got their 202."""

    accepted: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second, as they were."""
        return self.answers.total() / self.seconds

    async def post(self, http: aiohttp.ClientSession, run_id: str) -> None:
        """Ask for one run."""
        expires_at = (datetime.now(UTC) + _EXPIRES).isoformat()
        document = {"id": run_id, "workflow": "approval", "expires_at": expires_at}
        try:
            async with http.post("/v1/runs", json=document) as response:
                await response.read()
                self.answers[str(response.status)] += 1
                if response.status == 202:
                    self.accepted.append(run_id)
        except (aiohttp.ClientError, OSError) as error:
            self.answers[type(error).__name__] += 1


@contextlib.asynccontextmanager
async def under_load(url: str, *, per_second: int) -> AsyncIterator[Load]:
    """Ask for runs while the body goes on; afterwards all answers are there."""
    load, prefix = Load(), unique_name("load")
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(url, connector=connector) as http:
        stop = asyncio.Event()
        began = time.monotonic()
        asking = asyncio.create_task(_ask(load, http, prefix, stop, per_second=per_second))
        try:
            yield load
        finally:
            stop.set()
            await asking
            load.seconds = time.monotonic() - began


async def _ask(
    load: Load, http: aiohttp.ClientSession, prefix: str, stop: asyncio.Event, *, per_second: int
) -> None:
    loop = asyncio.get_running_loop()
    began, number = loop.time(), 0
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            group.create_task(load.post(http, f"{prefix}-{number}"))
            number += 1
            due = began + number / per_second
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=max(0.0, due - loop.time()))
