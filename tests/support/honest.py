"""An honest client, which starts and reads one run at a time, and the kubelet's probe.

The tests of bounds assert on what they measure during an attack.
"""

import asyncio
import collections
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self

import aiohttp

PATIENCE_SECONDS = 10.0
"""Time limit of an honest client for a response."""

LIVEZ_SECONDS = 1.0
"""Time limit for a response of /livez; it is part of the contract, so there is no margin."""

_BETWEEN_PROBES = 0.1
_DOCUMENT = {"workflow": "hello", "parameters": {"name": "Ada"}}


class Honest:
    """A client of the gateway at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http: aiohttp.ClientSession | None = None
        self.failures: collections.Counter[str] = collections.Counter()
        """Failed requests by method and result: `POST: 429`."""
        self.seconds: dict[str, list[float]] = {"POST": [], "GET": []}
        """The duration of each request."""
        self.run_ids: list[str] = []
        """The runs that were accepted."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        self._http = aiohttp.ClientSession(self._url, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        await self._http.close()

    @property
    def asked(self) -> int:
        """The number of finished requests."""
        return sum(map(len, self.seconds.values()))

    async def ask(self, *, times: int) -> None:
        """Start `times` runs, one after another, and read each once it is accepted."""
        for _ in range(times):
            await self._ask()

    async def ask_during(self, attack: asyncio.Future[Any]) -> None:
        """Start runs until the attack is over."""
        while not attack.done():
            await self._ask()

    async def _ask(self) -> None:
        run_id = await self._answer("POST", "/v1/runs", HTTPStatus.ACCEPTED, json=_DOCUMENT)
        if run_id is not None:
            self.run_ids.append(run_id)
            await self._answer("GET", f"/v1/runs/{run_id}", HTTPStatus.OK)

    async def _answer(
        self, method: str, path: str, expected: HTTPStatus, *, json: object = None
    ) -> str | None:
        """Send one request; return the run's id, or None after a failure."""
        assert self._http is not None
        began = time.perf_counter()
        run_id: str | None = None
        try:
            async with self._http.request(method, path, json=json) as response:
                if response.status == expected:
                    run_id = (await response.json())["id" if method == "POST" else "run_id"]
                else:
                    self.failures[f"{method}: {response.status}"] += 1
        except (aiohttp.ClientError, TimeoutError) as e:
            self.failures[f"{method}: {type(e).__name__}"] += 1
        self.seconds[method].append(time.perf_counter() - began)
        return run_id


class Probe:
    """Requests a service's /livez repeatedly, on new connections, and counts failures."""

    def __init__(self, health_url: str, *, each: Callable[[], None]) -> None:
        self._url = f"{health_url}/livez"
        self._each = each
        self.asked = 0
        self.longest = 0.0
        """The longest request in seconds, including failed ones."""
        self.misses: collections.Counter[str] = collections.Counter()

    async def run(self, ended: threading.Event) -> None:
        """Probe until `ended` is set; call `each` after each probe."""
        timeout = aiohttp.ClientTimeout(total=LIVEZ_SECONDS)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            while not ended.is_set():
                await self._ask(http)
                self._each()
                await asyncio.to_thread(ended.wait, _BETWEEN_PROBES)

    async def _ask(self, http: aiohttp.ClientSession) -> None:
        began = time.perf_counter()
        self.asked += 1
        try:
            async with http.get(self._url) as response:
                await response.read()
                if response.status != HTTPStatus.OK:
                    self.misses[str(response.status)] += 1
        except (aiohttp.ClientError, TimeoutError) as e:
            self.misses[type(e).__name__] += 1
        self.longest = max(self.longest, time.perf_counter() - began)
