"""Work off a tenant's backlog on Kafka, with single runs of others, while dispatchers are killed.

    python -m bench.fair_kafka [--requests 100000] [--live 100] [--run-seconds 0.2] [--kills 6]

Kafka and two dispatchers are real, and processes of their own. A stand-in for the API server ends
each Workflow after `--run-seconds`: neither the local engine nor Argo starts 100,000 in minutes.
One tenant has `--requests` on the shared topic. Another has topics of its own and one request; a
third has one among the first on the shared topic, a fourth one behind all others. One of the
dispatchers is killed and started again, `--kills` times, at random. On two cores that have nothing
else to do, 10,000 take half a minute.

The figures are the time, and for each single request how many runs were started before it, from
when it might start. The command fails if one waited for more than the bound of docs/fairness.md,
or if a request has no Workflow, or two.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sluice_local.kafka import EmbeddedKafka
from tests.support.backlog import BOUND, Backlog, Findings
from tests.support.kafka import running_broker

__all__ = ["main"]


def faults(found: Findings, *, live: int) -> list[str]:
    """Return what is wrong, one sentence each."""
    wrong = []
    if found.lost or found.doubled:
        wrong.append(f"{len(found.lost)} are lost, {len(found.doubled)} were started twice.")
    if found.uncommitted or found.outcomes:
        wrong.append(f"{found.uncommitted} are not committed, {found.outcomes} were rejected.")
    wrong += [
        f"{starts} starts came before the run of {tenant}; the bound is {BOUND + live}."
        for tenant, starts in found.waits.items()
        if starts > BOUND + live
    ]
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--live", type=int, default=100)
    parser.add_argument("--run-seconds", type=float, default=0.2)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_broker(EmbeddedKafka(data_dir=Path(folder, "kafka"))) as kafka,
    ):
        backlog = Backlog(
            kafka,
            Path(folder),
            requests=given.requests,
            live=given.live,
            run_seconds=given.run_seconds,
            kills=given.kills,
            seed=given.seed,
        )
        found = asyncio.run(backlog.run())
    rate = len(found.created) / found.seconds
    print(f"{len(found.created)} runs in {found.seconds:.0f} s, {rate:.0f} a second")
    print(f"{found.most_live} live at most; the limit of each dispatcher is {given.live}")
    for tenant, starts in found.waits.items():
        print(f"{starts} starts before the run of {tenant}; the bound is {BOUND} and {given.live}")
    print(f"{found.overtaken} requests in front of that of `far` on its partition started later")
    wrong = faults(found, live=given.live)
    print("\n".join(wrong or ["Each request has exactly one Workflow, and is committed."]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
