"""How soon the status-watcher publishes a change beside a bare watch: `python -m bench.watching`.

The reference is bench.bare_watch, which reads the same changes at the same time and does nothing
with them. The command creates Workflows of `hello`, and patches their phase to Pending and to
Running: first `--rate` times a second, then as fast as the API server takes it. Each change has
three times: its PATCH was sent, the bare watch has read it, and a consumer has read its event from
the status topic, which all in-sync replicas have then. No controller takes the Workflows.

`--engine argo-4.0` needs a testbed that runs (`make testbed`). The machine should have nothing else
to do. The namespace of the Workflows is left on the testbed: `python -m testbed down` discards it.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.idle import cpu_seconds, rss_mb
from bench.own_sluice import own_sluice
from sluice_argo.workflows_api import WorkflowsApi
from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_dispatcher.domain.models import Manifest
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_runtime.kubernetes.namespaces import Namespaces
from sluice_workflows.catalogue import load_catalogue
from sluice_workflows.compiler import compile_entry
from sluice_workflows.settings import CompileSettings
from tests.support.sluice import Sluice, Topic

_AT_ONCE = 16
_INSTANCE = "nobody"
_PHASES = ("Pending", "Running")


@dataclass(frozen=True, kw_only=True)
class Changes:
    """When each change was sent, and seen: `name/phase` to nanoseconds of one clock."""

    sent: Mapping[str, int]
    bare: Mapping[str, int]
    published: Mapping[str, int]
    cpu_ms: float
    """Processor time of the status-watcher for each change."""

    def milliseconds(self, of: Mapping[str, int]) -> list[float]:
        """Return how long after they were sent the changes were seen."""
        return [(of[each] - at) / 1e6 for each, at in self.sent.items()]

    def rate(self, of: Mapping[str, int]) -> float:
        """Return the changes per second, from the first one that was sent to the last seen."""
        return len(self.sent) / (max(of.values()) - min(self.sent.values())) * 1e9


class Bench:
    """Workflows in the namespace of a Sluice whose status-watcher runs."""

    def __init__(self, sluice: Sluice) -> None:
        self._sluice = sluice
        catalogue = load_catalogue(file=None, entry_points=())
        hello = compile_entry(catalogue.get("hello"), settings=CompileSettings())
        self._builder = WorkflowBuilder(
            catalogue,
            {"hello": hello},
            namespaces=Namespaces(default=sluice.namespace),
            instance_ids=(_INSTANCE,),
        )

    async def create(self, *, count: int) -> list[str]:
        """Create Workflows, wait until their first events are published, and return their names."""
        async with self._sluice.workflows() as workflows:
            manifests = [self.manifest() for _ in range(count)]
            names = [each["metadata"]["name"] for each in manifests]
            await side_by_side([workflows.create(each) for each in manifests])
        waited = set(names)
        async with Topic(self._sluice.kafka, self._sluice.topics.status) as topic:
            async for record in topic.records():
                waited.discard(json.loads(record.value or b"")["workflow_name"])
                if not waited:
                    return names
        raise AssertionError("unreachable")

    async def change(self, names: Sequence[str], *, rate: float | None) -> Changes:
        """Patch the phases of the Workflows; without a `rate`, as fast as it goes."""
        changes = [(name, phase) for phase in _PHASES for name in names]
        pid, sent = self._sluice.child("status-watcher").pid, dict[str, int]()
        async with (
            self._sluice.workflows() as workflows,
            _child("bare_watch", *self._cluster(), str(len(changes))) as bare,
            _child("read_status", *self._kafka(), str(len(changes))) as published,
        ):
            cpu, began = cpu_seconds(pid), time.monotonic()

            async def patch(number: int, name: str, phase: str) -> None:
                if rate is not None:
                    await asyncio.sleep(began + number / rate - time.monotonic())
                sent[f"{name}/{phase}"] = time.monotonic_ns()
                await _patch(workflows, name, phase)

            work = [patch(number, *change) for number, change in enumerate(changes)]
            await side_by_side(work)
            return Changes(
                sent=sent,
                bare=json.loads(await bare.readline()),
                published=json.loads(await published.readline()),
                cpu_ms=(cpu_seconds(pid) - cpu) / len(changes) * 1e3,
            )

    def _cluster(self) -> tuple[str, str]:
        return str(self._sluice.endpoints.kubeconfig), self._sluice.namespace

    def _kafka(self) -> tuple[str, str]:
        return self._sluice.kafka.bootstrap_servers, self._sluice.topics.status

    def manifest(self) -> Manifest:
        """Return a Workflow that no controller takes, as the dispatcher would create it."""
        run_id = secrets.token_hex(8)
        document = {"id": run_id, "workflow": "hello", "parameters": {"name": "Ada"}}
        record = IncomingRecord(
            position=Position(self._sluice.topics.requests, 0, 0),
            timestamp_ms=int(time.time() * 1000),
            key=str(RunKey("default", run_id)).encode(),
            value=json.dumps(document).encode(),
        )
        received = decode_request(record)
        if not isinstance(received, ReceivedRun):
            raise TypeError("the record asks for a run")
        return self._builder.build(received, record=record)


async def _patch(workflows: WorkflowsApi, name: str, phase: str) -> None:
    status = {"phase": phase, "startedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    await workflows.patch(name, [{"op": "add", "path": "/status", "value": status}])


async def side_by_side(work: Iterable[Awaitable[object]]) -> None:
    """Await all of the work, sixteen at a time, in its order."""
    waiting = iter(work)

    async def worker() -> None:
        for each in waiting:
            await each

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker())


@asynccontextmanager
async def _child(module: str, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Start a process of bench, and wait until it says that it is ready; yield what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"bench.{module}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
    )
    try:
        assert process.stdout is not None
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"bench.{module} did not start")
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def report(paced: Changes, fast: Changes) -> dict[str, object]:
    """Print the figures, and return them."""
    figures: dict[str, object] = {}
    print(f"at {paced.rate(paced.bare):.0f} changes/s, from the PATCH on:")
    added = [(paced.published[each] - paced.bare[each]) / 1e6 for each in paced.sent]
    for what, of in (
        ("bare watch", paced.milliseconds(paced.bare)),
        ("published", paced.milliseconds(paced.published)),
        ("between", added),
    ):
        hundredths = statistics.quantiles(of, n=100)
        figures[what] = {"p50_ms": hundredths[49], "p99_ms": hundredths[98]}
        print(f"  {what:12}p50 {hundredths[49]:.1f} ms  p99 {hundredths[98]:.1f} ms")
    ours, bare = fast.rate(fast.published), fast.rate(fast.bare)
    figures |= {"published_rate": ours, "bare_rate": bare, "cpu_ms": fast.cpu_ms}
    print(f"as fast as it goes: {ours:.0f} of {bare:.0f} changes/s, {ours / bare:.2f}")
    print(f"processor time of the status-watcher: {fast.cpu_ms:.2f} ms for each change")
    return figures


async def measure(sluice: Sluice, *, count: int, rate: float) -> tuple[Changes, Changes]:
    """Return the changes at the rate, and those as fast as it goes."""
    bench = Bench(sluice)
    # The first ones are the warm-up.
    await bench.change(await bench.create(count=50), rate=None)
    paced = await bench.change(await bench.create(count=count), rate=rate)
    fast = await bench.change(await bench.create(count=count), rate=None)
    return paced, fast


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.watching",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engine", default="argo-4.0", help="(%(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="Workflows (%(default)s)")
    parser.add_argument("--rate", type=float, default=300, help="changes/s (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with own_sluice(options.engine) as sluice:
        sluice.start("status-watcher")
        found = asyncio.run(measure(sluice, count=options.count, rate=options.rate))
        print(f"status-watcher: {rss_mb(sluice.child('status-watcher').pid):.0f} MB")
    figures = report(*found)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
