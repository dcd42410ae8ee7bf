"""Measure how attacks slow down an honest client: `python -m bench.hostile`.

The command starts its own Kafka and gateway. For each attack, phases without and with it alternate,
while an honest client starts and reads one run at a time. The output has the median and the 99th
percentile of its response times for both, its failures under attack, and the ratio of the 99th
percentiles, which should stay below 2. Attackers run in a separate process of lowest priority, so
that they take from the client what the gateway gives them. The machine should have nothing else to
do: its noise is in both percentiles. `idle-connections` holds 10,000 connections and 200 slow ones
of 1,000 addresses, beside some honest clients (`--clients`). All attacks with the defaults take
about 3 min.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.crowd import crowd
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_local.kafka import EmbeddedKafka
from tests.support import hostile
from tests.support.engines import running_engine
from tests.support.honest import Honest
from tests.support.hostile_documents import KINDS
from tests.support.kafka import running_broker
from tests.support.matrix import LOCAL
from tests.support.sluice import Sluice

ONE_PEER = ["127.0.1.1"]
# The default limit of bytes in flight.
DECLARED = [MAX_REQUEST_BYTES] * 10 + [16 * 1024 * 1024 - 10 * MAX_REQUEST_BYTES]
IDLE, SLOW, IDLE_PEERS = 10_000, 200, 1000
# Room for all of them: with the default of 4096, idle ones would make room for others.
ENVIRONMENT = {"gateway": {"SLUICE_HTTP__MAX_CONNECTIONS": "12000"}}
LARGE_RUNS, EVENTS, FOLLOWERS = 4, 5, 500
_LOWEST_PRIORITY = 19


@dataclass(frozen=True)
class Target:
    """The target of an attack: a gateway, its request topic and its Kafka."""

    url: str
    bootstrap_servers: str
    requests: str


@contextlib.asynccontextmanager
async def idle_bodies(target: Target) -> AsyncIterator[None]:
    async with hostile.idle_bodies(target.url, DECLARED, peers=ONE_PEER):
        yield


@contextlib.asynccontextmanager
async def slow_bodies(target: Target) -> AsyncIterator[None]:
    async with hostile.slow_bodies(target.url, DECLARED, peers=ONE_PEER):
        yield


@contextlib.asynccontextmanager
async def idle_connections(target: Target) -> AsyncIterator[None]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    async with crowd(
        target.url,
        idle=IDLE,
        slow_heads=SLOW // 2,
        slow_bodies=SLOW // 2,
        peers=[*hostile.peers(IDLE_PEERS)],
    ) as ends:
        yield
        print("ends of connections:", dict(ends), file=sys.stderr)


def large_bodies(kind: str) -> Callable[[Target], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def posting(target: Target) -> AsyncIterator[None]:
        bodies = [KINDS[kind](f"bench-{number}") for number in range(8)]
        async with endless(
            lambda: hostile.large_bodies(target.url, bodies, rounds=1, peers=ONE_PEER)
        ):
            yield

    return posting


@contextlib.asynccontextmanager
async def nested_records(target: Target) -> AsyncIterator[None]:
    values = [KINDS["nested"](f"bench-{number}") for number in range(4)]
    async with endless(lambda: hostile.write_records(target, target.requests, values), every=1.0):
        yield


@contextlib.asynccontextmanager
async def unread_followers(target: Target) -> AsyncIterator[None]:
    runs = itertools.cycle(f"large-{number}" for number in range(LARGE_RUNS))
    paths = [f"/v1/runs/{run}/events" for run in itertools.islice(runs, FOLLOWERS)]
    async with hostile.unread(target.url, paths, peers=[*hostile.peers(FOLLOWERS)]):
        yield


ATTACKS: dict[str, Callable[[Target], AbstractAsyncContextManager[None]]] = {
    "idle-bodies": idle_bodies,
    "slow-bodies": slow_bodies,
    "idle-connections": idle_connections,
    **{f"{kind}-bodies": large_bodies(kind) for kind in KINDS},
    "nested-records": nested_records,
    "unread-followers": unread_followers,
}


@dataclass
class Seen:
    """The measurements of the honest client in the phases of one kind."""

    seconds: dict[str, list[float]]
    failures: int = 0

    def add(self, honest: Honest) -> None:
        for method, seconds in honest.seconds.items():
            self.seconds[method] += seconds
        self.failures += honest.failures.total()

    def percentile(self, method: str, share: float) -> float:
        """Return a percentile in milliseconds; NaN without requests."""
        ordered = sorted(self.seconds[method])
        if not ordered:
            return math.nan
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


@contextlib.asynccontextmanager
async def endless(once: Callable[[], Any], *, every: float = 0.0) -> AsyncIterator[None]:
    """Call `once` repeatedly while the body runs, with a pause of `every` seconds."""

    async def again() -> None:
        while True:
            await once()
            await asyncio.sleep(every)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def attackers(target: Target, name: str) -> AsyncIterator[None]:
    """Run a process that attacks while the body runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.hostile", "--attackers", json.dumps(asdict(target)), name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not await process.stdout.readline():
            raise RuntimeError(f"the attackers of {name} ended before the attack")
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def attack(target: Target, name: str) -> None:
    """Attack until standard input ends; write a line to standard output after the start."""
    # Attackers are elsewhere in practice; here they get the CPU time that the others leave.
    os.nice(_LOWEST_PRIORITY)
    async with ATTACKS[name](target):
        print("attacking", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def phase(sluice: Sluice, seen: Seen, *, seconds: float, clients: int) -> None:
    async def ask(until: asyncio.Future[None]) -> None:
        async with Honest(sluice.url) as honest:
            await honest.ask_during(until)
            seen.add(honest)

    over = asyncio.ensure_future(asyncio.sleep(seconds))
    await asyncio.gather(*(ask(over) for _ in range(clients)))


async def compare(
    sluice: Sluice, name: str, *, rounds: int, seconds: float, clients: int
) -> dict[str, Any]:
    """Alternate phases without and with an attack; return the figures of both."""
    target = Target(sluice.url, sluice.kafka.bootstrap_servers, sluice.topics.requests)
    without, under = (Seen({"POST": [], "GET": []}) for _ in range(2))
    for _ in range(rounds):
        await phase(sluice, without, seconds=seconds, clients=clients)
        async with attackers(target, name):
            await phase(sluice, under, seconds=seconds, clients=clients)
    figures: dict[str, Any] = {"attack": name, "failures": under.failures}
    figures["failures_without"] = without.failures
    for method in ("POST", "GET"):
        p99 = [seen.percentile(method, 0.99) for seen in (without, under)]
        p50 = [
            statistics.median(seen.seconds[method] or [math.nan]) * 1000
            for seen in (without, under)
        ]
        figures[method] = {
            "answers": [len(seen.seconds[method]) for seen in (without, under)],
            "p50_ms": p50,
            "p99_ms": p99,
            "ratio_p99": p99[1] / p99[0],
        }
    return figures


async def measure(sluice: Sluice, options: argparse.Namespace) -> list[dict[str, Any]]:
    if "unread-followers" in options.attack:
        for number in range(LARGE_RUNS):
            status = sluice.topics.status
            await hostile.write_events(sluice.kafka, status, f"large-{number}", events=EVENTS)
    found = []
    heads = ("p50 ms", "attacked", "p99 ms", "attacked", "ratio", "failed")
    print(f"{'attack':18}{'':6}" + "".join(f"{head:>10}" for head in heads))
    for name in options.attack:
        figures = await compare(
            sluice,
            name,
            rounds=options.rounds,
            seconds=options.seconds,
            clients=options.clients,
        )
        found.append(figures)
        for method in ("POST", "GET"):
            of = figures[method]
            p50, p99 = of["p50_ms"], of["p99_ms"]
            failed = figures["failures"] if method == "POST" else ""
            cells = (p50[0], p50[1], p99[0], p99[1], of["ratio_p99"])
            label = name if method == "POST" else ""
            print(
                f"{label:18}{method:6}" + "".join(f"{cell:>10.1f}" for cell in cells),
                f"{failed:>9}",
                flush=True,
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "attack", nargs="*", metavar="ATTACK", help=f"one of {', '.join(ATTACKS)} (default: all)"
    )
    parser.add_argument("--attackers", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=2, help="phases of each kind (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a phase (%(default)s)")
    parser.add_argument(
        "--clients", type=int, default=1, help="honest clients at a time (%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    options.attack = options.attack or list(ATTACKS)
    if unknown := set(options.attack) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(unknown)}; there are {', '.join(ATTACKS)}")
    if options.attackers:
        asyncio.run(attack(Target(**json.loads(options.attackers)), *options.attack))
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_broker(EmbeddedKafka(data_dir=home / "kafka")) as kafka:
            sluice = Sluice(
                kafka, home / "sluice", engine=running_engine(LOCAL), environment=ENVIRONMENT
            )
            try:
                sluice.start("gateway")
                figures = asyncio.run(measure(sluice, options))
            finally:
                sluice.stop()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
