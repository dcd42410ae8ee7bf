"""What a gateway spends on the runs that others have accepted: `python -m bench.replicas`.

The load (wrk, 64 connections) goes to a gateway, alone first and then beside a second one, which
reads the request topic for its view as each replica does. The output has their processor time for
each run, and by it how many times as many runs two gateways accept as one, each on a core of its
own. `--store postgres` gives both one view in Debian's PostgreSQL: then they share the partitions.
No dispatcher runs, so there are no status events; what one of those costs is said by
bench.run_view. Needs `wrk`, and two cores that have nothing else to do.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.gateway import BODY, LOAD, Target, drive, pin
from bench.idle import cpu_seconds
from bench.status_load import running_gateway
from tests.support.postgres import PostgresServer, create_database

_WARM_UP_S = 3.0
_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.5


@contextlib.contextmanager
def store(kind: str) -> Iterator[dict[str, str]]:
    """Yield the settings of the gateways' view."""
    if kind == "sqlite":
        yield {}
        return
    server = PostgresServer()
    try:
        server.start()
        # postgresql://USER@/DATABASE?host=FOLDER
        database = asyncio.run(create_database(server)).partition("@/")[2].partition("?")[0]
        yield {
            "SLUICE_STORE__KIND": "postgres",
            "SLUICE_STORE__POSTGRES__HOST": str(server.folder),
            "SLUICE_STORE__POSTGRES__DATABASE": database,
            "SLUICE_STORE__POSTGRES__TLS": "disable",
        }
    finally:
        server.remove()


@contextlib.contextmanager
def gateways(home: Path, settings: Mapping[str, str]) -> Iterator[Iterator[Target]]:
    """Yield two gateways, of which the second starts when it is taken."""
    with running_gateway(home, **settings) as sluice:
        load = home / "load.lua"
        load.write_text(LOAD.format(body=BODY, key="", media_type="application/json"))

        def target(name: str, origin: str) -> Target:
            return Target(name, f"{origin}/v1/runs", sluice.child(name).pid, load, key="")

        def started() -> Iterator[Target]:
            yield target("gateway", sluice.url)
            another, origin = sluice.another_gateway(lambda _: {"SLUICE_AUTH__MODE": "none"})
            sluice.start(another)
            yield target(another, origin)

        yield started()


def wait_until_equal(targets: Sequence[Target]) -> None:
    """Wait until all gateways show as many runs, and no more come."""
    until, before = time.monotonic() + _PATIENCE_S, -1
    while time.monotonic() < until:
        counts = {_count(each) for each in targets}
        if counts == {before}:
            return
        before = min(counts)
        time.sleep(_LOOK_EVERY_S)
    raise RuntimeError(f"the gateways do not show the same runs after {_PATIENCE_S:g} s")


def _count(target: Target) -> int:
    with urllib.request.urlopen(f"{target.url}:counts", timeout=30) as answer:  # noqa: S310 - ours
        return sum(json.load(answer)["counts"].values())


def measure(options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Return microseconds of processor time for each run: of one gateway alone, and of two."""
    with (
        tempfile.TemporaryDirectory() as folder,
        store(options.store) as settings,
        gateways(Path(folder), settings) as starting,
    ):
        targets: list[Target] = []
        found = []
        for target in starting:
            targets.append(target)
            pin(targets)
            _spent(targets, seconds=_WARM_UP_S, connections=options.connections)
            found.append(_spent(targets, seconds=options.seconds, connections=options.connections))
        alone, both = found
        return alone, both


def _spent(targets: Sequence[Target], *, seconds: float, connections: int) -> list[float]:
    """Load the first gateway, and return what each has spent on a run."""
    before = [cpu_seconds(each.pid) for each in targets]
    runs = drive(targets[0], seconds=seconds, connections=connections)["runs"]
    wait_until_equal(targets)
    return [
        (cpu_seconds(each.pid) - spent) / runs * 1e6
        for each, spent in zip(targets, before, strict=True)
    ]


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.replicas",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=15, help="of the load (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="of the load (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    [alone], [accepts, reads] = measure(options)
    times = 2 * alone / (accepts + reads)
    print(f"one gateway alone: {alone:.0f} us for each run")
    print(f"two: {accepts:.0f} us for the one that accepts, {reads:.0f} us for the other one")
    print(f"two gateways accept {times:.2f} times as many runs as one, by processor time")
    if options.json:
        figures = {"alone_us": alone, "accepts_us": accepts, "reads_us": reads, "times": times}
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
