"""Runs services under the memory limits of their chart, and observes them during an attack."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.honest import LIVEZ_SECONDS, Honest, Probe
from tests.support.limits import FIGURES, MEBIBYTE, MemoryLimit, chart_limits, peak_bytes
from tests.support.sluice import Sluice

ATTACK_SECONDS = 75.0
"""Time limit for an attack and its aftermath."""

DRAIN_SECONDS = 45.0
"""Time limit for the aftermath of an attack."""

Launchers = Mapping[str, Sequence[str]]
"""Prefixes of the commands of services, by their names."""

_BETWEEN_LOOKS = 0.1
_END_SECONDS = 5.0


class NotDrainedError(Exception):
    """A condition after an attack was not met in time."""


class Guard:
    """The services of a Sluice that are attacked, and their measurements."""

    def __init__(self, sluice: Sluice, limits: Mapping[str, MemoryLimit]) -> None:
        self.sluice = sluice
        self.honest = Honest(sluice.url)
        self._limits = limits
        self._peaks = dict.fromkeys(limits, 0)
        self._probes = {
            name: Probe(sluice.endpoints.health_url(name), each=self._measured(name))
            for name in limits
        }
        self._missing: list[str] = []

    async def during(
        self, attack: Coroutine[Any, Any, None], *, seconds: float = ATTACK_SECONDS
    ) -> None:
        """Wait until an attack is over, a service has ended, or its time is up."""
        ends: list[asyncio.Future[Any]] = [
            asyncio.wrap_future(self.sluice.child(name).exited) for name in self._limits
        ]
        attacking: asyncio.Future[Any] = asyncio.create_task(attack)
        try:
            await asyncio.wait(
                [attacking, *ends], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not any(end.done() for end in ends) and not attacking.done():
                self._missing.append(f"not over after {seconds:.0f} s")
            elif attacking.done():
                await self._ended(attacking, ends)
        except NotDrainedError as e:
            self._missing.append(str(e))
        finally:
            # The ends stay: they belong to the processes.
            attacking.cancel()
            await asyncio.gather(attacking, return_exceptions=True)

    @staticmethod
    async def _ended(attack: asyncio.Future[Any], ends: Sequence[asyncio.Future[Any]]) -> None:
        try:
            await attack
        except aiohttp.ClientError:
            # The service does not answer: its end may not have been reported yet.
            await asyncio.wait(ends, timeout=_END_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not any(end.done() for end in ends):
                raise

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Probe and measure all services while the body runs.

        Probes run on a separate thread and event loop, so that attackers that keep this loop busy
        do not make a service look late.
        """
        ended = threading.Event()

        async def probe() -> None:
            await asyncio.gather(*(each.run(ended) for each in self._probes.values()))

        probing = asyncio.create_task(asyncio.to_thread(asyncio.run, probe()))
        try:
            yield
        finally:
            ended.set()
            await probing

    async def metric(self, service: str, name: str) -> float:
        """Return the sum of a service's metric over all its labels."""
        url = f"{self.sluice.endpoints.health_url(service)}/metrics"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            families = text_string_to_metric_families(await response.text())
        return sum(s.value for family in families for s in family.samples if s.name == name)

    def assert_bounded(self) -> None:
        """Fail with all bounds that were broken, if any."""
        assert not (found := self._breaches()), "\n".join(found)

    def _breaches(self) -> list[str]:
        found = list(self._missing)
        for name, limit in self._limits.items():
            if (breach := limit.breach(peak=self._peaks[name])) is not None:
                found.append(f"{name} {breach}")
            if (child := self.sluice.child(name)).exited.done():
                found.append(f"{name} ended with {child.exited.result()}")
            probe = self._probes[name]
            if probe.misses:
                found.append(
                    f"{name}: {probe.misses.total()} of {probe.asked} probes of /livez were not "
                    f"answered within {LIVEZ_SECONDS:g} s: {dict(probe.misses)}"
                )
        if failures := self.honest.failures:
            found.append(
                f"{failures.total()} of {self.honest.asked} requests of an honest client failed: "
                f"{dict(failures)}"
            )
        return found

    def figures(self) -> Iterator[str]:
        """Yield the measurements, one line per service."""
        for name, limit in self._limits.items():
            probe = self._probes[name]
            yield (
                f"{name}: {limit.taken(self._peaks[name]) // MEBIBYTE} of "
                f"{limit.most // MEBIBYTE} MiB ({limit.how}), longest of {probe.asked} /livez "
                f"{probe.longest * 1000:.0f} ms, {self.honest.asked} honest requests"
            )

    def _measured(self, name: str) -> Callable[[], None]:
        def measure() -> None:
            pid = self.sluice.child(name).pid
            self._peaks[name] = max(self._peaks[name], peak_bytes(pid))

        return measure


@contextlib.asynccontextmanager
async def guarded(
    make: Callable[[Launchers], Sluice],
    *names: str,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Guard]:
    """Start some services under their chart's limits, and observe them.

    `make` returns the Sluice for the given launchers.
    """
    config = request.config
    with chart_limits(names, config=config) as limits:
        sluice = make({name: limit.launcher() for name, limit in limits.items()})
        guard = Guard(sluice, limits)
        try:
            if "dispatcher" in names:
                await asyncio.to_thread(sluice.start, "engine")
            # A service may need the loop of the test. Linux ties a child to the thread that started
            # it; threads of the executor live as long as the loop.
            await asyncio.to_thread(sluice.start, *names)
            async with guard.honest, guard.watching():
                yield guard
        finally:
            figures = config.stash.setdefault(FIGURES, [])
            figures += [f"{request.node.name}: {figure}" for figure in guard.figures()]
            await asyncio.to_thread(sluice.stop)


async def eventually(
    check: Callable[[], Coroutine[Any, Any, bool]], *, what: str, seconds: float = DRAIN_SECONDS
) -> None:
    """Wait until `check` returns true.

    Raises:
        NotDrainedError: it did not in time.
    """
    never = asyncio.Event()
    until = time.monotonic() + seconds
    while not await check():
        if time.monotonic() > until:
            raise NotDrainedError(f"{what}: not within {seconds:.0f} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BETWEEN_LOOKS):
                await never.wait()


async def standing_still(
    look: Callable[[], Coroutine[Any, Any, object]], *, looks: int, what: str
) -> None:
    """Wait until `look` has returned the same value `looks` times in a row.

    Raises:
        NotDrainedError: it did not in time.
    """
    last: object = None
    same = 0

    async def still() -> bool:
        nonlocal last, same
        seen = await look()
        same = same + 1 if seen == last else 0
        last = seen
        return same >= looks

    await eventually(still, what=what)
