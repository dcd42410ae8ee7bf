"""Measures the choice of the next request with a million of another tenant in front.

    python -m bench.fair_queue [--requests 1000000] [--tenants 1000] [--live 200]

`--requests` wait of one tenant, and one each of `--tenants` others, with `--live` runs at a time.
Then one more tenant sends one request. The figures are how many others start before it, the bound
of docs/fairness.md, the CPU time and the compared entries of a decision, and the memory of a
request that waits. A million takes about half a minute and 1 GB. Nothing is read from Kafka: what
is in front on a topic has to be read first, or needs topics of its own.
"""

import argparse
import math
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sluice_contracts.requests import Priority
from sluice_dispatcher.domain.fair_queue import FairQueue, Waiting
from sluice_dispatcher.domain.indexed_heap import IndexedHeap
from sluice_dispatcher.domain.pauses import NO_PAUSES
from sluice_runtime.live_limits import Limits

__all__ = ["main"]

DECISIONS: Final = 20_000
PRIORITIES: Final[tuple[Priority, ...]] = ("normal", "high", "normal", "low")


@dataclass(kw_only=True)
class Comparisons:
    """Entries that heaps have compared."""

    count: int = 0

    def watch(self) -> None:
        """Count from now on."""
        precedes = IndexedHeap._precedes  # noqa: SLF001 - what is measured

        def counting(heap: IndexedHeap[str], one: int, other: int) -> bool:
            self.count += 1
            return precedes(heap, one, other)

        IndexedHeap._precedes = counting  # type: ignore[method-assign,assignment] # noqa: SLF001


def waiting(tenant: str, number: int) -> Waiting:
    """Return a request; workflows and priorities differ."""
    return Waiting(
        token=f"{tenant}/{number}",
        tenant=tenant,
        workflow=f"workflow-{number % 5}",
        priority=PRIORITIES[number % 4],
        accepted_ms=number,
    )


class Cluster:
    """A queue whose live runs end in the order of their starts."""

    def __init__(self, *, live: int) -> None:
        self.queue = FairQueue()
        self.queue.configure(Limits(live=live), NO_PAUSES)
        self._live: list[Waiting] = []

    def start(self) -> list[Waiting]:
        """Start all that may."""
        found = []
        while (chosen := self.queue.next()) is not None:
            found.append(chosen)
        self._live += found
        return found

    def end_one(self) -> None:
        """End the oldest run."""
        run = self._live.pop(0)
        self.queue.count(tenant=run.tenant, workflow=run.workflow, change=-1)


def measure(*, requests: int, tenants: int, live: int) -> None:
    """Print the figures."""
    tracemalloc.start()
    cluster = Cluster(live=live)
    for number in range(requests):
        cluster.queue.offer(waiting("large", number))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{size / requests:.0f} bytes for each request that waits")
    for number in range(tenants):
        cluster.queue.offer(waiting(f"tenant-{number}", number))
    cluster.start()
    cluster.queue.offer(waiting("late", 0))
    before: list[str] = []
    while "late" not in before:
        cluster.end_one()
        before += [run.tenant for run in cluster.start()]
    print(f"{before.index('late')} starts before the late tenant's; the bound is {2 * tenants + 4}")
    began = time.process_time()
    for _ in range(DECISIONS):
        cluster.end_one()
        cluster.start()
    took = (time.process_time() - began) / DECISIONS
    comparisons = Comparisons()
    comparisons.watch()
    for _ in range(DECISIONS):
        cluster.end_one()
        cluster.start()
    each = comparisons.count / DECISIONS
    print(f"{took * 1e6:.0f} us of CPU time for an end and a start, {each:.0f} entries compared")
    print(f"log2 of what waits is {math.log2(len(cluster.queue)):.0f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--live", type=int, default=200)
    given = parser.parse_args(arguments)
    measure(requests=given.requests, tenants=given.tenants, live=given.live)


if __name__ == "__main__":
    main()
