"""Requests at a steady rate, whatever the answers: nobody waits for the one before."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from tests.support.kafka import unique_name

_CONNECTIONS = 32


@dataclass
class Load:
    """What was answered: `accepted` holds the ids of the runs that got their 202."""

    workflow: str
    accepted: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    per_second: float = 0.0

    async def post(self, http: aiohttp.ClientSession, run_id: str) -> None:
        """Ask for one run."""
        try:
            document = {"id": run_id, "workflow": self.workflow}
            async with http.post("/v1/runs", json=document) as response:
                await response.read()
                self.answers[str(response.status)] += 1
                if response.status == 202:
                    self.accepted.append(run_id)
        except (aiohttp.ClientError, OSError) as error:
            self.answers[repr(error)] += 1


@contextlib.asynccontextmanager
async def under_load(url: str, *, workflow: str, per_second: int) -> AsyncIterator[Load]:
    """Ask for runs while the body goes on; afterwards all answers are there."""
    load, stop = Load(workflow), asyncio.Event()
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(url, connector=connector) as http:
        asking = asyncio.create_task(_ask(load, http, stop, per_second=per_second))
        try:
            yield load
        finally:
            stop.set()
            await asking


async def _ask(
    load: Load, http: aiohttp.ClientSession, stop: asyncio.Event, *, per_second: int
) -> None:
    prefix, now = unique_name("load"), asyncio.get_running_loop().time
    began = now()
    async with asyncio.TaskGroup() as group:
        for number in itertools.count(1):
            group.create_task(load.post(http, f"{prefix}-{number}"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(began + number / per_second):
                    await stop.wait()
                    break
    load.per_second = load.answers.total() / (now() - began)
