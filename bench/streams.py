"""Measures open event streams: how late their events are, and what the gateway needs for them.

    python -m bench.streams [--streams 2000] [--rate 500] [--seconds 60]

The command starts its own Kafka and gateway. Each stream follows one run, and the events are of one
run after the other. An event is late by the time from its place on the status topic, which Kafka
has acknowledged, to its client. The clients are in one process of their own, which must not be what
is slow: if its CPU time is near the wall time, measure fewer streams. The machine should have
nothing else to do.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from bench.idle import cpu_seconds
from bench.status_load import (
    StatusWriter,
    resident_megabytes,
    running_gateway,
    status,
    steadily,
)
from sluice_contracts.status import Phase
from tests.support.sluice import Sluice

_OPENED_AT_A_TIME = 100


class Crowd:
    """The clients, and when each event was appended and read."""

    def __init__(self, sluice: Sluice, *, streams: int, events: int) -> None:
        self._url = sluice.url
        self._streams = streams
        self._opening = asyncio.Semaphore(_OPENED_AT_A_TIME)
        self.opened = asyncio.Semaphore(0)
        self.appended: dict[tuple[str, int], float] = {}
        self.read: dict[tuple[str, int], float] = {}
        self.all_read = asyncio.Event()
        self._wanted = streams + events

    async def follow(self) -> None:
        """Follow all runs, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(self._url, connector=connector, timeout=timeout) as http,
            asyncio.TaskGroup() as group,
        ):
            for number in range(self._streams):
                group.create_task(self._follow(http, run_id(number)))

    async def _follow(self, http: aiohttp.ClientSession, run: str) -> None:
        headers = {"Accept": "application/x-ndjson"}
        await self._opening.acquire()
        async with http.get(f"/v1/runs/{run}/events", headers=headers) as response:
            response.raise_for_status()
            async for line in response.content:
                now = time.perf_counter()
                data = json.loads(line)["data"]
                if data is None:
                    continue
                self.read[run, data["sequence"]] = now
                if len(self.read) == self._wanted:
                    self.all_read.set()
                if data["sequence"] == 1:
                    self._opening.release()
                    self.opened.release()
        raise RuntimeError(f"the stream of {run} has ended")

    def lateness(self) -> list[float]:
        """Return how late events were, in milliseconds, the least first."""
        return sorted(
            max(0.0, self.read[key] - at) * 1000
            for key, at in self.appended.items()
            if key in self.read
        )


def run_id(number: int) -> str:
    return f"run-{number:06}"


async def measure(sluice: Sluice, *, streams: int, rate: float, seconds: float) -> None:
    """Print how late the events of so many streams are."""
    gateway = sluice.child("gateway").pid
    accepted_at = datetime.now(UTC)
    async with StatusWriter.of(sluice) as writer:
        for number in range(streams):
            first = status(run_id(number), 1, Phase.RUNNING, accepted_at=accepted_at)
            await writer.write(first)
        await writer.flush()
        print(f"gateway with no streams: {resident_megabytes(gateway):.0f} MB", flush=True)
        events = round(rate * seconds)
        crowd = Crowd(sluice, streams=streams, events=events)
        following = asyncio.create_task(crowd.follow())
        for _ in range(streams):
            opened = asyncio.create_task(crowd.opened.acquire())
            await asyncio.wait([opened, following], return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        print(f"{streams} streams open: {resident_megabytes(gateway):.0f} MB", flush=True)

        wall, own, theirs = time.perf_counter(), time.process_time(), cpu_seconds(gateway)
        async for number in steadily(events, a_second=rate):
            key = run_id(number % streams), 2 + number // streams
            record = status(*key, Phase.RUNNING, accepted_at=accepted_at)

            def appended(key: tuple[str, int] = key) -> None:
                crowd.appended[key] = time.perf_counter()

            await writer.write(record, appended)
        await writer.flush()
        wall = time.perf_counter() - wall
        own, theirs = time.process_time() - own, cpu_seconds(gateway) - theirs
        async with asyncio.timeout(60):
            await crowd.all_read.wait()
        following.cancel()
    late = crowd.lateness()
    cuts = statistics.quantiles(late, n=100)
    print(f"{len(late)} events in {wall:.0f} s, {len(late) / wall:.0f} a second")
    print(f"late: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, at most {late[-1]:.0f} ms")
    print(f"gateway: {resident_megabytes(gateway):.0f} MB, {100 * theirs / wall:.0f} % of a CPU")
    print(f"clients: {100 * own / wall:.0f} % of a CPU")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=500, help="events a second in all")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    limits = {
        "SLUICE_OUTGOING__MAX_STREAMS": str(given.streams + 10),
        "SLUICE_OUTGOING__MAX_STREAMS_PER_PEER": str(given.streams + 10),
        # 64 KiB are held for each stream.
        "SLUICE_OUTGOING__MAX_BYTES": str(max(96 << 20, given.streams * 80_000)),
        "SLUICE_OUTGOING__MAX_BYTES_PER_PEER": str(max(96 << 20, given.streams * 80_000)),
    }
    with tempfile.TemporaryDirectory() as folder, running_gateway(Path(folder), **limits) as sluice:
        asyncio.run(measure(sluice, streams=given.streams, rate=given.rate, seconds=given.seconds))


if __name__ == "__main__":
    main()
