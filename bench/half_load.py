"""What a gateway adds to the time of a POST at half of its load: `python -m bench.half_load`.

The reference is bench.bare_gateway, at the same rate. Each POST has its time on a schedule, and is
measured from that time on: one that waits for a free connection has waited (no coordinated
omission). Phases of both alternate after a warm-up, on the cores that bench.gateway gives them.
`--rate` is half of what bench.gateway says of single posts. Needs two cores that have nothing else
to do.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from bench.gateway import BODY, Target, running_targets
from bench.status_load import steadily

_WARM_UP_S = 5.0


async def post_on_schedule(
    http: aiohttp.ClientSession,
    url: str,
    *,
    body: str,
    rate: float,
    seconds: float,
    then: Callable[[bytes, float], None],
) -> None:
    """POST a JSON body again and again; `then` gets each answer, and its milliseconds.

    Each POST has its time on a schedule, and is measured from that time on.
    """

    async def post(scheduled: float) -> None:
        headers = {"Content-Type": "application/json"}
        async with http.post(url, data=body, headers=headers) as response:
            response.raise_for_status()
            answer = await response.read()
        then(answer, (time.perf_counter() - scheduled) * 1e3)

    async with asyncio.TaskGroup() as group:
        began = time.perf_counter()
        async for number in steadily(round(rate * seconds), a_second=rate):
            group.create_task(post(began + number / rate))


async def drive(target: Target, *, rate: float, seconds: float, connections: int) -> list[float]:
    """Return how long each POST took from its time on, in milliseconds."""
    took: list[float] = []
    connector = aiohttp.TCPConnector(limit=connections)
    headers = {"Authorization": f"Bearer {target.key}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        await post_on_schedule(
            http,
            target.url,
            body=BODY,
            rate=rate,
            seconds=seconds,
            then=lambda _, milliseconds: took.append(milliseconds),
        )
    return took


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the times of both."""
    times: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_targets(Path(folder)) as (ours, reference, _),
    ):
        for round_number in range(-1, options.rounds):
            for target in (ours, reference):
                seconds = options.seconds if round_number >= 0 else _WARM_UP_S
                own = time.process_time()
                found = asyncio.run(
                    drive(
                        target,
                        rate=options.rate,
                        seconds=seconds,
                        connections=options.connections,
                    )
                )
                if round_number >= 0:
                    times.setdefault(target.name, []).extend(found)
                    busy = (time.process_time() - own) / seconds
                    p50, p99 = percentiles(found)
                    print(
                        f"{target.name:8}p50 {p50:.1f} ms  p99 {p99:.1f} ms, load {busy:.0%}",
                        file=sys.stderr,
                    )
    return times


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return the 50th and the 99th."""
    hundredths = statistics.quantiles(times, n=100)
    return hundredths[49], hundredths[98]


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.half_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rate", type=float, default=740, help="posts/s (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="phases of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="length of one (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="of the load (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    found = {name: percentiles(times) for name, times in measure(options).items()}
    for name, (p50, p99) in found.items():
        print(f"{name:8}p50 {p50:.1f} ms  p99 {p99:.1f} ms")
    p50, p99 = (a - b for a, b in zip(found["sluice"], found["bare"], strict=True))
    print(f"added at {options.rate:g} posts/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
