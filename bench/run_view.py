"""Measures the view of runs in SQLite: how fast it is filled, and how fast lists are read.

    python -m bench.run_view [--runs 1000000] [--events 100000] [--keep FOLDER]

Filling is measured as the gateway does it: records of the topics are decoded and written in
batches of 500. Its figure is records a second, of wall time and of CPU time. The reference is
sqlite3 alone, which inserts the rows that the view has in the end, each once, in as many
transactions and into tables with the same indexes; it decodes nothing, and no run changes.

Lists are read from a view of `--runs` runs, whose labels, workflows, phases and tenants are common
and rare. Their figure is the 50th and 99th percentile, without HTTP, of the first page and the one
behind it. All depend on the machine; CPU time depends less on what else it does.
"""

import argparse
import asyncio
import gc
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.request_codec import encode_request
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_contracts.steps import Step
from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.run_view.reader import SqliteRunView
from sluice_gateway.adapters.run_view.schema import TABLES
from sluice_gateway.adapters.run_view.store import open_view
from sluice_gateway.domain.reach import Area, Reach
from sluice_gateway.domain.run_changes import EventChange, Facts, RequestChange
from sluice_gateway.domain.run_query import LabelTest, RunFilter
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.sqlite_store import SqliteStore
from sluice_runtime.projection.write_behind import WriteBehind

TOPICS: Final = TopicNames()
START: Final = datetime(2026, 9, 1, tzinfo=UTC)
PARTITIONS: Final = 6
BATCH: Final = 500
QUESTIONS: Final = 200
ROWS_OF: Final = ("runs", "labels", "parameters", "events", "steps")
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def run_id(number: int) -> str:
    """Return an id as the gateway makes them: the time, and what cannot be guessed."""
    scrambled = random.Random(number).randrange(2**80)  # noqa: S311 - the same every time
    return f"{int(START.timestamp() * 1000) + number * 100:012x}{scrambled:020x}"


def records(events: int) -> Iterator[IncomingRecord]:
    """Yield the records of runs, each with a request and five events; a hundred at a time."""
    placed = Placed()
    for first in range(0, events // 6, 100):
        numbers = range(first, first + 100)
        for number in numbers:
            request = RunRequest(
                id=run_id(number),
                workflow=f"workflow-{number % 20}",
                parameters={"name": "Ada"},
                labels={"team": f"team-{number % 50}"},
            )
            key = RunKey("default", run_id(number))
            yield placed.at(
                TOPICS.requests,
                encode_request(
                    request,
                    key=key,
                    source="/bench",
                    event_id=str(key),
                    time=START,
                    traceparent=TRACEPARENT,
                ),
            )
        for sequence in range(1, 6):
            for number in numbers:
                yield placed.at(TOPICS.status, encode_status(event(number, sequence), source="/b"))


def event(number: int, sequence: int) -> PublishedEvent:
    """Return one of the five events of a run."""
    phase = (Phase.SUBMITTED, Phase.PENDING, Phase.RUNNING, Phase.RUNNING, Phase.SUCCEEDED)[
        sequence - 1
    ]
    steps = (Step(id="node-a", name="a", phase="Succeeded"), Step(id="b", name="b", phase="Failed"))
    key = RunKey("default", run_id(number))
    return PublishedEvent(
        event=StatusEvent(
            event_id=event_id(str(key), str(sequence)),
            run_id=key.run_id,
            tenant=key.tenant,
            workflow=f"workflow-{number % 20}",
            workflow_name=workflow_name(key),
            phase=phase,
            terminal=phase.terminal,
            progress="1/2",
            steps=steps[: max(0, sequence - 2)],
            labels={"team": f"team-{number % 50}"},
            accepted_at=START,
            started_at=START,
            observed_at=START,
            sequence=sequence,
        ),
        fingerprint="f" * 64,
        traceparent=TRACEPARENT,
    )


class Placed:
    """Gives records their positions."""

    def __init__(self) -> None:
        self._count = 0
        self._offsets: dict[tuple[str, int], int] = {}

    def at(self, topic: str, record: OutgoingRecord) -> IncomingRecord:
        """Return the record as it is read from the topic."""
        self._count += 1
        place = topic, self._count % PARTITIONS
        self._offsets[place] = offset = self._offsets.get(place, -1) + 1
        return IncomingRecord(
            position=Position(*place, offset),
            timestamp_ms=int(START.timestamp() * 1000) + self._count,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[SqliteStore, SqliteRunView]]:
    """Open a view."""

    async def catch_up() -> str | None:
        return None

    def keeps_parameters(_: str) -> bool:
        return True

    async with open_view(
        folder / "view.sqlite",
        origins=RecordOrigins(TopicSets(TOPICS)),
        keeps_parameters=keeps_parameters,
    ) as store:
        yield (
            store,
            SqliteRunView(
                store,
                topics=TopicSets(TOPICS),
                subscriptions=RunSubscriptions(),
                catch_up=catch_up,
                keeps_parameters=keeps_parameters,
            ),
        )


async def measure_filling(events: int) -> None:
    """Print how many records a second are projected, of both topics and of one."""
    both = list(records(events))
    await fill("requests and events", both)
    await fill("events", [each for each in both if each.position.topic == TOPICS.status])


async def fill(what: str, read: list[IncomingRecord]) -> None:
    """Project the records into a new view."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder)) as (store, _):
            writes = WriteBehind(store)
            # The gateway does not hold all these records: less for its garbage collector.
            gc.collect()
            gc.freeze()
            wall, cpu = time.perf_counter(), time.process_time()
            for first in range(0, len(read), BATCH):
                await writes.put(read[first : first + BATCH])
            await writes.flush()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        # Closing has emptied the write-ahead log.
        size = bytes_of(Path(folder))
        bare = insert_rows(Path(folder) / "view.sqlite", transactions=len(read) // BATCH)
    print(f"{what} projected: {len(read)}, {size / len(read):,.0f} bytes of file each")
    print(f"  a second of wall time: {len(read) / wall:,.0f}, of CPU time: {len(read) / cpu:,.0f}")
    print(f"  of bare inserts of the rows: {bare / wall:.2f}, which took {bare:.1f} s")


def insert_rows(view: Path, *, transactions: int) -> float:
    """Insert the rows of a view into a new file, and return the seconds that it took."""
    with closing(sqlite3.connect(view)) as source:
        rows = {table: source.execute(f"SELECT * FROM {table}").fetchall() for table in ROWS_OF}  # noqa: S608
        [pragma] = source.execute("PRAGMA journal_mode").fetchone()
    file = view.with_name("bare.sqlite")
    with closing(sqlite3.connect(file, isolation_level=None)) as bare:
        bare.execute(f"PRAGMA journal_mode = {pragma}")
        bare.execute("PRAGMA synchronous = NORMAL")
        bare.executescript(TABLES)
        for trigger in ("runs_added", "runs_changed", "runs_dropped"):
            bare.execute(f"DROP TRIGGER {trigger}")
        gc.collect()
        gc.freeze()
        began = time.perf_counter()
        for number in range(transactions):
            bare.execute("BEGIN")
            for table, all_rows in rows.items():
                first, last = (len(all_rows) * at // transactions for at in (number, number + 1))
                if first < last:
                    marks = ",".join("?" * len(all_rows[0]))
                    bare.executemany(f"INSERT INTO {table} VALUES ({marks})", all_rows[first:last])  # noqa: S608
            bare.execute("COMMIT")
        took = time.perf_counter() - began
    file.unlink()
    return took


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files in the folder."""
    return sum(file.stat().st_size for file in folder.iterdir())


def changes(first: int, last: int) -> Iterator[RequestChange | EventChange]:
    """Yield what makes these runs: all phases, a rare tenant, and labels of all frequencies."""
    phases = [Phase.SUCCEEDED] * 94 + [Phase.FAILED] * 4 + [Phase.ERROR, Phase.RUNNING]
    for number in range(first, last):
        chance = random.Random(number)  # noqa: S311 - the same every time
        key = RunKey("rare" if number % 10_007 == 0 else f"tenant-{number % 5}", run_id(number))
        labels = {"team": f"team-{chance.randrange(50)}", "order": f"{number // 3}"}
        if number % 9973 == 0:
            labels["rare"] = "yes"
        facts = Facts(labels=labels, priority="normal", parent=None)
        accepted_ms = int(START.timestamp() * 1000) + number * 100
        phase = chance.choice(phases)
        yield RequestChange(
            key=key,
            partition=number % PARTITIONS,
            offset=number // PARTITIONS,
            accepted_ms=accepted_ms,
            workflow=f"workflow-{chance.randrange(20)}",
            fingerprint="f" * 64,
            facts=facts,
            parameters='{"name":"Ada"}',
        )
        if number % 1000 == 1:
            continue
        yield EventChange(
            key=key,
            partition=number % PARTITIONS,
            offset=number // PARTITIONS,
            appended_ms=accepted_ms + 1,
            sequence=1,
            attempt=1,
            phase=phase.value,
            terminal=phase.terminal,
            workflow=None,
            fingerprint="f" * 64,
            accepted_ms=accepted_ms,
            facts=facts,
            progress="1/1",
            started_at=None,
            finished_at=None,
            type=f"sluice.run.{phase.lower()}",
            data="{}",
            steps={},
            groups={},
        )


def questions(runs: int) -> dict[str, list[RunFilter]]:
    """Return what is asked for, by kind."""
    chance = random.Random(1)  # noqa: S311 - the same every time
    some = [chance.randrange(runs) for _ in range(QUESTIONS)]

    def moment(number: int) -> datetime:
        return START + timedelta(milliseconds=number * 100)

    def label(name: str, value: str, *, equal: bool = True) -> tuple[LabelTest, ...]:
        return (LabelTest(name=name, value=value, equal=equal),)

    return {
        "all": [RunFilter() for _ in some],
        "tenant": [RunFilter(tenant=f"tenant-{n % 5}") for n in some],
        "rare tenant": [RunFilter(tenant="rare") for _ in some],
        "workflow": [RunFilter(workflow=f"workflow-{n % 20}") for n in some],
        "phase": [
            RunFilter(phases=frozenset({Phase.FAILED, Phase.ERROR, Phase.ACCEPTED})) for _ in some
        ],
        "phase that none has": [RunFilter(phases=frozenset({Phase.EXPIRED})) for _ in some],
        "tenant, workflow and phase": [
            RunFilter(
                tenant=f"tenant-{n % 5}",
                workflow=f"workflow-{n % 20}",
                phases=frozenset({Phase.RUNNING}),
            )
            for n in some
        ],
        "label": [RunFilter(labels=label("team", f"team-{n % 50}")) for n in some],
        "rare label": [RunFilter(labels=label("rare", "yes")) for _ in some],
        "label of three runs": [RunFilter(labels=label("order", f"{n // 3}")) for n in some],
        "label not equal": [RunFilter(labels=label("team", "team-1", equal=False)) for _ in some],
        "label and phase": [
            RunFilter(labels=label("team", f"team-{n % 50}"), phases=frozenset({Phase.ERROR}))
            for n in some
        ],
        "label, workflow and tenant": [
            RunFilter(
                labels=label("team", f"team-{n % 50}"), workflow="workflow-3", tenant="tenant-1"
            )
            for n in some
        ],
        "one day": [RunFilter(since=moment(n), until=moment(n + 864_000)) for n in some],
        "an hour and a phase": [
            RunFilter(since=moment(n), until=moment(n + 36_000), phases=frozenset({Phase.FAILED}))
            for n in some
        ],
        "whole id": [RunFilter(text=run_id(n)) for n in some],
        "8 characters of the id": [RunFilter(text=run_id(n)[15:23]) for n in some],
        "3 characters of the id": [RunFilter(text=run_id(n)[15:18]) for n in some],
        "text that no id has": [RunFilter(text=f"zz{n:06}") for n in some],
        "text and phase": [
            RunFilter(text=run_id(n)[15:18], phases=frozenset({Phase.FAILED})) for n in some
        ],
        "granted: a tenant": [RunFilter(within=granted(f"tenant-{n % 5} *")) for n in some],
        "granted: a rare tenant": [RunFilter(within=granted("rare *")) for _ in some],
        "granted: a workflow": [RunFilter(within=granted(f"* workflow-{n % 20}")) for n in some],
        "granted: two areas": [
            RunFilter(within=granted("tenant-1 workflow-3", "rare *")) for _ in some
        ],
        "granted: rare, and a label": [
            RunFilter(within=granted("rare *"), labels=label("team", f"team-{n % 50}"))
            for n in some
        ],
        "granted: tenant and phase": [
            RunFilter(within=granted(f"tenant-{n % 5} *"), phases=frozenset({Phase.FAILED}))
            for n in some
        ],
    }


def granted(*areas: str) -> Reach:
    """Return what a principal may see: each area is a tenant and a workflow."""
    pairs = [area.split() for area in areas]
    return Reach.of(
        Area(tenants=frozenset({tenant}), workflows=frozenset({workflow}))
        for tenant, workflow in pairs
    )


async def measure_lists(runs: int, kept: Path | None) -> None:
    """Print how long the first page of lists takes, and a later one."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(kept or Path(folder)) as (store, view):
            began = time.perf_counter()
            [(first,)] = await store.read("SELECT COUNT(*) FROM runs")
            for begin in range(first, runs, 10_000):
                made = list(changes(begin, min(runs, begin + 10_000)))
                await store.transact(lambda connection, made=made: write(store, connection, made))
            [(size,)] = await store.read(
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            )
            took = time.perf_counter() - began
            print(f"lists of 50 among {runs} runs ({size >> 20} MiB, made in {took:.0f} s)")
            for name, queries in questions(runs).items():
                walls, cpus = [], []
                for query in queries:
                    place = None
                    for _ in range(2):
                        wall, cpu = time.perf_counter(), time.process_time()
                        page = await view.list(query, before=place, limit=50)
                        walls.append(time.perf_counter() - wall)
                        cpus.append(time.process_time() - cpu)
                        if page.next is None:
                            break
                        place = page.next
                print(
                    f"  {name:27} wall {percentiles(walls)}   CPU {percentiles(cpus)}", flush=True
                )


def percentiles(seconds: list[float]) -> str:
    """Return the 50th and the 99th, in milliseconds."""
    cuts = statistics.quantiles((each * 1000 for each in seconds), n=100)
    return f"p50 {cuts[49]:7.2f} p99 {cuts[98]:7.2f} ms"


def write(store: SqliteStore, connection: object, made: object) -> None:
    """Write changes as the projection does."""
    store._projection.write(connection, made)  # type: ignore[arg-type]  # noqa: SLF001


def main() -> None:
    """Measure both."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=1_000_000)
    arguments.add_argument("--keep", type=Path, help="folder of the view, used again if it exists")
    arguments.add_argument("--events", type=int, default=100_000)
    chosen = arguments.parse_args()
    if chosen.events:
        asyncio.run(measure_filling(chosen.events))
    if chosen.runs:
        asyncio.run(measure_lists(chosen.runs, chosen.keep))


if __name__ == "__main__":
    main()
