"""How fast the view in PostgreSQL is: events projected a second, and filtered lists of many runs.

    python bench/postgres_store.py [--events 40000] [--runs 1000000] [--lists 1000]

Starts Debian's PostgreSQL with its defaults, in a folder of its own.
"""

import argparse
import asyncio
import gc
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_store_postgres.store import StoredPlace
from sluice_gateway.domain.run_query import LabelTest, RunFilter
from tests.support.postgres import PostgresServer, create_database
from tests.support.postgres_runs import PostgresRuns, postgres_runs
from tests.unit.gateway.harness import NOW, TOPICS, published, status_record, step

_PORTION = 2000
_LIFE = (Phase.SUBMITTED, Phase.RUNNING, Phase.RUNNING, Phase.SUCCEEDED)

_FILL = """
INSERT INTO runs (tenant, run_id, request_epoch, request_partition, request_offset,
                  request_workflow, request_fingerprint, request_facts, parameters, accepted_ms,
                  sequence, phase, terminal, status_workflow, status_ms, status_partition,
                  status_offset, first_ms, events_from_ms)
SELECT 'tenant-' || n % 50, 'order-' || md5(n::text), 0, n % 6, n, 'workflow-' || n % 20,
       md5(n::text) || md5(n::text),
       format('[{{"team": "team-%s", "customer": "customer-%s"}}, "normal", null]',
              n % 100, n % 50000),
       '{{"name": "Ada"}}', {now} - (1000000 - n) * 500,
       CASE WHEN n % 997 = 0 THEN -1 ELSE n END,
       CASE WHEN n % 997 = 0 THEN 'Accepted' WHEN n % 100 = 0 THEN 'Failed'
            WHEN n > {runs} - 500 THEN 'Running' WHEN n % 5003 = 0 THEN 'Suspended'
            ELSE 'Succeeded' END,
       n % 997 <> 0 AND n <= {runs} - 500 AND n % 5003 <> 0, 'workflow-' || n % 20,
       {now}, n % 6, n, {now}, {now}
FROM generate_series({begin}, {end}) AS n
"""


async def project(runs: PostgresRuns, *, events: int) -> float:
    """Return the events a second that one projector projects, decoding while the database works."""
    records = []
    for first in range(0, events // len(_LIFE), 200):
        for sequence, phase in enumerate(_LIFE, start=1):
            for number in range(first, first + 200):
                event = published(
                    sequence,
                    phase,
                    run_id=f"order-{number * 7919:x}",
                    steps=(step("split"), step("count")),
                    fingerprint="f" * 64,
                    accepted_at=NOW,
                    labels={"team": f"team-{number % 100}", "env": "prod"},
                )
                records.append(status_record(event, offset=len(records)))
    # The garbage collector has nothing to do with what only the bench has in memory.
    gc.freeze()
    await runs.begin()
    known = runs.places[TOPICS.status, 1]
    writing: asyncio.Task[None] | None = None
    began = time.perf_counter()
    for at in range(0, len(records), _PORTION):
        portion = records[at : at + _PORTION]
        changes = await runs.store.decode(portion)
        moved = StoredPlace(
            next_offset=portion[-1].position.offset + 1, epoch=known.epoch, last=None
        )
        if writing is not None:
            await writing
        writing = asyncio.create_task(
            runs.store.apply(TOPICS.status, changes, moves={1: (known, moved)})
        )
        known = moved
    if writing is not None:
        await writing
    return len(records) / (time.perf_counter() - began)


async def fill(runs: PostgresRuns, *, number: int) -> None:
    """Write runs, without their events."""
    now = int(NOW.timestamp() * 1000)
    async with runs.pool.acquire() as connection:
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'runs'"
            " AND indexname <> 'runs_pkey'"
        )
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        for begin in range(1, number + 1, 100_000):
            end = min(number, begin + 99_999)
            await connection.execute(
                _FILL.format(now=now, runs=number, begin=begin, end=end), timeout=None
            )
        for _, definition in indexes:
            await connection.execute(definition)
        await connection.execute("VACUUM ANALYZE runs")


def filters(number: int) -> dict[str, Callable[[random.Random], RunFilter]]:
    """Return what is asked for, by name."""

    def hex_of(chance: random.Random, digits: int) -> str:
        return f"{chance.randrange(16**digits):0{digits}x}"

    def time_range(chance: random.Random) -> RunFilter:
        since = NOW - timedelta(milliseconds=500 * chance.randrange(number))
        return RunFilter(since=since, until=since + timedelta(hours=1))

    return {
        "newest": lambda _: RunFilter(),
        "tenant": lambda c: RunFilter(tenant=f"tenant-{c.randrange(50)}"),
        "workflow": lambda c: RunFilter(workflow=f"workflow-{c.randrange(20)}"),
        "failed": lambda _: RunFilter(phases=frozenset({Phase.FAILED, Phase.ERROR})),
        "waiting": lambda _: RunFilter(phases=frozenset({Phase.SUSPENDED})),
        "failed of tenant and workflow": lambda c: RunFilter(
            tenant=f"tenant-{c.randrange(50)}",
            workflow=f"workflow-{c.randrange(20)}",
            phases=frozenset({Phase.FAILED}),
        ),
        "label, 1 %": lambda c: RunFilter(
            labels=(LabelTest(name="team", value=f"team-{c.randrange(100)}"),)
        ),
        "label, 20 runs": lambda c: RunFilter(
            labels=(LabelTest(name="customer", value=f"customer-{c.randrange(50000)}"),)
        ),
        "label nobody has": lambda _: RunFilter(labels=(LabelTest(name="team", value="none"),)),
        "another label": lambda c: RunFilter(
            labels=(LabelTest(name="team", value=f"team-{c.randrange(100)}", equal=False),)
        ),
        "text of 3": lambda c: RunFilter(text=hex_of(c, 3)),
        "text of 5": lambda c: RunFilter(text=hex_of(c, 5)),
        "text of 8": lambda c: RunFilter(text=hex_of(c, 8)),
        "text nobody has": lambda _: RunFilter(text="nowhere"),
        "hour": time_range,
    }


async def measure(runs: PostgresRuns, *, number: int, lists: int) -> None:
    """Print the times of lists, for each filter and for all."""
    chance = random.Random(19)  # noqa: S311 - it has to repeat
    asked = filters(number)
    every: list[float] = []
    for name, query in asked.items():
        times = []
        for _ in range(lists // len(asked)):
            began = time.perf_counter()
            await runs.view.list(query(chance), before=None, limit=50)
            times.append((time.perf_counter() - began) * 1000)
        every += times
        print(f"  {name:30} {percentiles(times)}")
    print(f"  {'all':30} {percentiles(every)}")


def percentiles(times: list[float]) -> str:
    ordered = sorted(times)
    at = {each: ordered[min(len(ordered) - 1, int(len(ordered) * each / 100))] for each in (50, 99)}
    return f"p50 {at[50]:6.1f} ms  p99 {at[99]:6.1f} ms  max {ordered[-1]:6.1f} ms"


async def main(options: argparse.Namespace) -> None:
    server = PostgresServer()
    try:
        server.start()
        async with postgres_runs(await create_database(server), topics=TOPICS) as runs:
            rate = await project(runs, events=options.events)
            print(f"{options.events} events projected: {rate:.0f}/s")
        async with postgres_runs(await create_database(server), topics=TOPICS) as runs:
            began = time.perf_counter()
            await fill(runs, number=options.runs)
            print(f"{options.runs} runs written in {time.perf_counter() - began:.0f} s")
            await measure(runs, number=options.runs, lists=options.lists)
            if options.events:
                rate = await project(runs, events=options.events)
                print(f"{options.events} events projected beside them: {rate:.0f}/s")
    finally:
        server.remove()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--lists", type=int, default=1_500)
    asyncio.run(main(parser.parse_args()))
