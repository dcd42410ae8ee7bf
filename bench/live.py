"""How a status-watcher starts beside many live Workflows: `python -m bench.live --count 100000`.

The command creates Workflows that no controller takes, and starts the status-watcher twice: first
all of them are new to it, and it publishes each; then it is killed, and publishes them once more,
because the state of a live Workflow is not marked as published. It is caught up once it tracks all
of them and no state waits. The output has the time of both, from the start of the process on, its
processor time, and the most memory that it had.

`--engine argo-4.0` needs a testbed that runs (`make testbed`). With 25,000 Workflows its API server
has 6 GB, and with 100,000 more than 23 GB.
The machine should have nothing else to do. The namespace of the Workflows is left on the testbed:
`python -m testbed down` discards it.
"""

import argparse
import asyncio
import json
import re
import sys
import time
import urllib.request
from pathlib import Path

from bench.idle import cpu_seconds, most_rss_mb
from bench.own_sluice import own_sluice
from bench.watching import Bench, side_by_side
from tests.support.sluice import Sluice

_WATCHER = "status-watcher"
_LOOK_EVERY_S = 0.5
_PATIENCE_S = 3600.0
_GAUGES = re.compile(
    r"^sluice_status_watcher_(tracked_workflows|pending_states|active_workers) ([0-9.e+]+)$",
    re.MULTILINE,
)


def caught_up(sluice: Sluice, *, count: int) -> dict[str, float]:
    """Start the status-watcher, and return what it took until it was caught up."""
    began = time.monotonic()
    sluice.start(_WATCHER)
    shown = 0
    while (seconds := time.monotonic() - began) < _PATIENCE_S:
        gauges = _gauges(sluice)
        tracked = gauges["tracked_workflows"]
        if tracked >= count and not gauges["pending_states"] and not gauges["active_workers"]:
            pid = sluice.child(_WATCHER).pid
            return {"seconds": seconds, "cpu_s": cpu_seconds(pid), "most_mb": most_rss_mb(pid)}
        if tracked - shown >= count / 10:
            shown = int(tracked)
            print(f"  {shown} tracked after {seconds:.0f} s", file=sys.stderr, flush=True)
        time.sleep(_LOOK_EVERY_S)
    raise RuntimeError(f"the status-watcher is not caught up after {_PATIENCE_S:g} s")


def _gauges(sluice: Sluice) -> dict[str, float]:
    url = f"http://127.0.0.1:{sluice.endpoints.health_ports[_WATCHER]}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return {name: float(value) for name, value in _GAUGES.findall(answer.read().decode())}


async def create(sluice: Sluice, *, count: int) -> float:
    """Create the Workflows, and return the seconds that it took."""
    bench, began = Bench(sluice), time.monotonic()
    async with sluice.workflows() as workflows:
        await side_by_side(workflows.create(bench.manifest()) for _ in range(count))
    return time.monotonic() - began


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engine", default="argo-4.0", help="(%(default)s)")
    parser.add_argument("--count", type=int, default=10_000, help="Workflows (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with own_sluice(options.engine) as sluice:
        took = asyncio.run(create(sluice, count=options.count))
        print(f"{options.count} Workflows created in {took:.0f} s", flush=True)
        figures = {}
        for what in ("new to it", "after a kill"):
            figures[what] = found = caught_up(sluice, count=options.count)
            print(
                f"{what}: caught up after {found['seconds']:.1f} s, "
                f"{found['cpu_s']:.1f} s of processor time, {found['most_mb']:.0f} MB at most",
                flush=True,
            )
            sluice.kill(_WATCHER)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
