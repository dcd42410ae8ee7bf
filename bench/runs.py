"""What a run costs in each service, and how often Kubernetes is asked: `python -m bench.runs`.

The command posts `hello` so many times at once, and waits for all outcomes. The output has the
processor time of each service for each run, the runs per second, and the requests to the API server
for Workflows, pods and their logs, by verb. Argo's own are not among them: it watches, and writes
by PUT. `--engine argo-4.0` needs a testbed that runs (`make testbed`); the local engine does not
count requests. The machine should have nothing else to do.
"""

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import aiohttp

from bench.idle import cpu_seconds
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kubernetes.client import KubernetesClient
from tests.support.engines import running_engine
from tests.support.kafka import running_broker
from tests.support.sluice import Sluice, running_sluice

_REQUEST = {"workflow": "hello", "parameters": {"name": "Ada"}}
_SERVICES = ("gateway", "dispatcher", "status-watcher")
_WARM_UP = 20
# https://kubernetes.io/docs/reference/instrumentation/metrics/
_COUNT = re.compile(
    r'^apiserver_request_total\{.*resource="(workflows|pods)".*subresource="(log)?"'
    r'.*verb="(POST|PATCH|GET|DELETE)".*\} ([0-9.e+]+)$',
    re.MULTILINE,
)


async def measure(sluice: Sluice, *, runs: int) -> dict[str, object]:
    """Return what the runs have cost."""
    await _run(sluice, count=_WARM_UP)
    async with sluice.kubernetes() as kubernetes:
        asked, spent = await _requests(sluice, kubernetes), _spent(sluice)
        began = time.perf_counter()
        await _run(sluice, count=runs)
        seconds = time.perf_counter() - began
        # The watcher releases a finished Workflow later, which is a request more.
        await _released(sluice)
        calls = await _requests(sluice, kubernetes) - asked
        return {
            "runs_per_second": runs / seconds,
            "cpu_ms": {
                name: (after - spent[name]) / runs * 1e3 for name, after in _spent(sluice).items()
            },
            "requests": {name: count / runs for name, count in sorted(calls.items())},
        }


async def _run(sluice: Sluice, *, count: int) -> None:
    async with aiohttp.ClientSession(sluice.url, connector=aiohttp.TCPConnector(limit=0)) as http:

        async def one() -> None:
            async with http.post("/v1/runs", json=_REQUEST) as response:
                response.raise_for_status()
                run = await response.json()
            over = False
            while not over:
                path = f"{run['links']['self']}/outcome"
                async with http.get(path, params={"wait": "30"}) as response:
                    response.raise_for_status()
                    over = (await response.json())["terminal"]

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())


async def _released(sluice: Sluice) -> None:
    """Wait until no Workflow has a finalizer any more."""
    async with asyncio.timeout(300), sluice.workflows() as workflows:
        while True:
            page = await workflows.list_page(limit=5000, continue_token=None)
            if not any(each["metadata"].get("finalizers") for each in page.items):
                return
            await asyncio.sleep(1)


async def _requests(sluice: Sluice, kubernetes: KubernetesClient) -> Counter[str]:
    """Return the requests that the API server has counted."""
    if sluice.engine.is_local:
        return Counter()
    deadline = Deadline("reading metrics", timedelta(seconds=30))
    text = await kubernetes.call(
        "GET", "/metrics", deadline=deadline, accept="text/plain", parse=lambda each: {"": each}
    )
    counts: Counter[str] = Counter()
    for resource, log, verb, count in _COUNT.findall(bytes(text[""]).decode()):
        counts[f"{verb} {resource}{'/log' if log else ''}"] += int(float(count))
    return counts


def _spent(sluice: Sluice) -> dict[str, float]:
    return {name: cpu_seconds(sluice.child(name).pid) for name in _SERVICES}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.runs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engine", default="argo-4.0", help="or local (%(default)s)")
    parser.add_argument("--runs", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with (
            running_broker(EmbeddedKafka(data_dir=home / "kafka")) as kafka,
            running_sluice(kafka, home / "sluice", engine=running_engine(options.engine)) as sluice,
        ):
            figures = asyncio.run(measure(sluice, runs=options.runs))
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
