"""How many Workflows the dispatcher creates beside bare creates: `python -m bench.dispatching`.

The reference is bench.bare_creates: kubernetes-asyncio creates the same Workflow, as many at a time
as the dispatcher does. Phases of both alternate after a warm-up, each of so many Workflows, on one
API server. No controller takes the Workflows: their instance id is nobody's. The output has
Workflows/s and processor time per Workflow of both, and their ratio.

Then single records are written, one after the other, and a watch sees their Workflows: that is how
soon an idle dispatcher creates one.

`--engine argo-4.0` needs a testbed that runs (`make testbed`); `local` is the local engine, whose
API server is a stand-in. The machine should have nothing else to do. The namespace of the
Workflows is left on the testbed: `python -m testbed down` discards it.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from bench.idle import cpu_seconds
from bench.own_sluice import own_sluice
from tests.support.sluice import Sluice

_AT_ONCE = 16
_INSTANCE = "nobody"
_ENVIRONMENT = {
    "SLUICE_DISPATCH__CONCURRENCY": str(_AT_ONCE),
    "SLUICE_WORKFLOWS__INSTANCE_IDS": json.dumps([_INSTANCE]),
}
_CREATED = 'sluice_dispatcher_records_total{verdict="created"}'
_WARM_UP = 20
_PATIENCE_S = 300


@dataclass
class Seen:
    """The measurements of one side, an entry per phase."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def add(self, *, count: int, seconds: float, cpu: float) -> None:
        """Note a phase of `count` Workflows, which took `cpu` seconds of processor time."""
        self.rates.append(count / seconds)
        self.cpu_ms.append(cpu / count * 1e3)


async def measure(sluice: Sluice, *, rounds: int, count: int) -> dict[str, Seen]:
    """Alternate phases of the dispatcher and of bare creates."""
    seen = {"sluice": Seen(), "bare": Seen()}
    manifest = await _a_workflow(sluice)
    for number in range(-1, rounds):
        # The first one is the warm-up.
        found = {
            "sluice": await _dispatch(sluice, count=count),
            "bare": await _create(sluice, manifest, count=count),
        }
        for name, (seconds, cpu) in found.items() if number >= 0 else ():
            seen[name].add(count=count, seconds=seconds, cpu=cpu)
            print(
                f"{name:8}{seen[name].rates[-1]:>8.0f}/s{seen[name].cpu_ms[-1]:>8.2f} ms",
                file=sys.stderr,
                flush=True,
            )
    return seen


async def _dispatch(sluice: Sluice, *, count: int) -> tuple[float, float]:
    pid, until = sluice.child("dispatcher").pid, _created(sluice) + count
    cpu, began = cpu_seconds(pid), time.perf_counter()
    await _write(sluice, count=count)
    await _wait(sluice, until=until)
    return time.perf_counter() - began, cpu_seconds(pid) - cpu


async def _create(sluice: Sluice, manifest: dict[str, Any], *, count: int) -> tuple[float, float]:
    kubeconfig = str(sluice.endpoints.kubeconfig)
    arguments = [kubeconfig, sluice.namespace, str(count), str(_AT_ONCE)]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bench.bare_creates", *arguments],
        input=json.dumps(manifest),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout)
    return found["seconds"], found["cpu"]


async def _a_workflow(sluice: Sluice) -> dict[str, Any]:
    """Return what the dispatcher makes of a request, as it was before the API server had it."""
    until = _created(sluice) + 1
    await _write(sluice, count=1)
    await _wait(sluice, until=until)
    async with sluice.workflows() as workflows:
        page = await workflows.list_page(limit=1, continue_token=None)
    [made] = page.items
    made.pop("status", None)
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        made["metadata"].pop(name, None)
    return made


async def latencies(sluice: Sluice, *, runs: int) -> list[float]:
    """Return for each record the milliseconds until a watch saw its Workflow."""
    found = []
    async with sluice.workflows() as workflows, _producing(sluice) as producer:
        page = await workflows.list_page(limit=1, continue_token=None)
        async with (
            workflows.watch(resource_version=page.resource_version, timeout_seconds=600) as chunks,
            aclosing(_added(chunks)) as added,
        ):
            for number in range(_WARM_UP + runs):
                began = time.perf_counter()
                await producer.send_and_wait(sluice.topics.requests, _record())
                await anext(added)
                if number >= _WARM_UP:
                    found.append((time.perf_counter() - began) * 1e3)
    return found


async def _added(chunks: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """Yield the name of each Workflow that is new."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["type"] == "ADDED":
                yield event["object"]["metadata"]["name"]


async def _write(sluice: Sluice, *, count: int) -> None:
    async with _producing(sluice) as producer:
        sent = [await producer.send(sluice.topics.requests, _record()) for _ in range(count)]
        await asyncio.gather(*sent)


@asynccontextmanager
async def _producing(sluice: Sluice) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=sluice.kafka.bootstrap_servers, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def _record() -> bytes:
    request = {"id": secrets.token_hex(8), "workflow": "hello", "parameters": {"name": "Ada"}}
    return json.dumps(request).encode()


async def _wait(sluice: Sluice, *, until: int) -> None:
    # The dispatcher counts, and is asked fifty times a second.
    async with asyncio.timeout(_PATIENCE_S):
        while _created(sluice) < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _created(sluice: Sluice) -> int:
    """Return how many Workflows the dispatcher has created, by its own count."""
    port = sluice.endpoints.health_ports["dispatcher"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    counts = [line.rpartition(" ")[2] for line in lines if line.startswith(_CREATED)]
    return int(float(counts[0])) if counts else 0


def report(seen: dict[str, Seen], *, milliseconds: list[float]) -> dict[str, object]:
    """Print the medians and the ratio, and return them."""
    print(f"{'':10}{'Workflows/s':>14}{'CPU ms':>10}")
    for name, of in seen.items():
        values = statistics.median(of.rates), statistics.median(of.cpu_ms)
        print(f"{name:10}{values[0]:>14.0f}{values[1]:>10.2f}")
    pairs = zip(seen["sluice"].rates, seen["bare"].rates, strict=True)
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    print(f"of bare creates: {ratio:.2f}")
    hundredths = statistics.quantiles(milliseconds, n=100)
    soon = {"p50": hundredths[49], "p99": hundredths[98]}
    print("record to created, idle:" + "".join(f"  {k} {v:.1f} ms" for k, v in soon.items()))
    return {**{k: vars(v) for k, v in seen.items()}, "ratio": ratio, "created_ms": soon}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.dispatching",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engine", default="argo-4.0", help="or local (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="phases of each (%(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="Workflows of one (%(default)s)")
    parser.add_argument("--runs", type=int, default=300, help="single records (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with own_sluice(options.engine, environment={"dispatcher": _ENVIRONMENT}) as sluice:
        sluice.start("dispatcher")
        seen = asyncio.run(measure(sluice, rounds=options.rounds, count=options.count))
        soon = asyncio.run(latencies(sluice, runs=options.runs))
    figures = report(seen, milliseconds=soon)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
