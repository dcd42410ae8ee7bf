"""How soon an idle Sluice answers: `python -m bench.latency`.

The command starts Kafka, the local engine and the services, and posts one run after the other. It
measures from the POST to its answer (202), and from the POST to the event `Submitted` on the run's
event stream: the record is written, read, made a Workflow, watched, published and projected then.
The machine should have nothing else to do.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from sluice_local.kafka import EmbeddedKafka
from tests.support.engines import running_engine
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice, running_sluice

_WARM_UP = 20
_REQUEST = {"workflow": "hello", "parameters": {"name": "Ada"}}


async def measure(sluice: Sluice, *, runs: int) -> dict[str, list[float]]:
    """Return the times of each run, in milliseconds."""
    accepted, submitted = [], []
    async with aiohttp.ClientSession(sluice.url) as http:
        for number in range(_WARM_UP + runs):
            began = time.perf_counter()
            async with http.post("/v1/runs", json=_REQUEST) as response:
                response.raise_for_status()
                run = await response.json()
            answered = time.perf_counter()
            await _until_submitted(http, run["links"]["events"])
            if number >= _WARM_UP:
                accepted.append((answered - began) * 1e3)
                submitted.append((time.perf_counter() - began) * 1e3)
            await _until_over(http, run["links"]["self"])
    return {"POST to 202": accepted, "POST to Submitted": submitted}


async def _until_submitted(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: ") and json.loads(line[6:])["phase"] == "Submitted":
                return
    raise RuntimeError("the stream ended without the event Submitted")


async def _until_over(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(f"{path}/outcome", params={"wait": "30"}) as response:
        response.raise_for_status()


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=200, help="measured (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with (
            running_broker(EmbeddedKafka(data_dir=home / "kafka")) as kafka,
            running_sluice(kafka, home / "sluice", engine=running_engine(LOCAL)) as sluice,
        ):
            times = asyncio.run(measure(sluice, runs=options.runs))
    figures = {}
    for what, found in times.items():
        hundredths = statistics.quantiles(found, n=100)
        figures[what] = {"p50": hundredths[49], "p99": hundredths[98]}
        print(f"{what:20}" + "".join(f"  {name} {ms:.1f} ms" for name, ms in figures[what].items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
