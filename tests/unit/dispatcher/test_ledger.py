"""The ledger forgets what the results topic has dropped, and nothing else."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_dispatcher.adapters.ledger import SqliteLedger, open_ledger_store
from sluice_runtime.projection.projector import Projector
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.behaviour.ledger_port import LedgerPortSuite
from tests.unit.runtime.clock import now, pause, until
from tests.unit.runtime.kafka.fake_kafka import FakeCluster

pytestmark = pytest.mark.looptime

RESULTS = "sluice.results"


@pytest.fixture
async def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.create_for_test(RESULTS, partitions=2)
    return cluster


def published(run_id: str, *, phase: Phase = Phase.SUCCEEDED, attempt: int = 1) -> PublishedEvent:
    key = RunKey("default", run_id)
    return PublishedEvent(
        event=StatusEvent(
            event_id=f"{attempt} of {run_id}",
            run_id=run_id,
            tenant="default",
            workflow="hello",
            workflow_name=workflow_name(key),
            attempt=attempt,
            phase=phase,
            terminal=True,
            observed_at=datetime(2026, 9, 1, tzinfo=UTC),
            sequence=attempt,
        ),
        fingerprint="f",
        traceparent=None,
    )


def write(
    cluster: FakeCluster, outcome: PublishedEvent, *, partition: int = 0, topic: str = RESULTS
) -> None:
    record = encode_status(outcome, source="/test")
    cluster.write_for_test(
        topic, record.value, key=record.key, headers=record.headers, partition=partition
    )


class Ledger:
    """A ledger that keeps up with the cluster."""

    def __init__(self, store: SqliteStore, projector: Projector) -> None:
        self.real = SqliteLedger(store, projector, freshness=timedelta(seconds=5))
        self._store = store
        self._projector = projector

    async def a_while(self) -> None:
        """Let minutes pass in which the projection does its periodic work."""
        for _ in range(130):
            await pause(1)
            # Work in threads keeps no virtual time, so each second is waited for.
            await self._projector.wait_caught_up(as_of=now())

    async def known(self) -> set[str]:
        rows = await self._store.read("SELECT run_id FROM outcomes")
        return {run_id for (run_id,) in rows}

    async def until_known(self, *run_ids: str) -> None:
        async def holds() -> bool:
            return await self.known() == set(run_ids)

        await until(holds)


@asynccontextmanager
async def ledger_of(
    cluster: FakeCluster, file: Path, *, topics: Sequence[str] = (RESULTS,)
) -> AsyncIterator[Ledger]:
    make: Any = cluster.make_consumer
    async with open_ledger_store(file) as store:
        projector = Projector(name="ledger", topics=topics, store=store, make_consumer=make)
        projecting = asyncio.create_task(projector.run())
        try:
            await projector.wait_fresh(within=5)
            yield Ledger(store, projector)
            assert not projecting.done()
        finally:
            projecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await projecting


@pytest.mark.parametrize("days", [8, -8])
async def test_a_clock_that_jumps_forgets_nothing(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    right = time.time
    write(cluster, published("projected"))
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        await ledger.real.record(published("noted", phase=Phase.REJECTED))
        with monkeypatch.context() as jumped:
            jumped.setattr(time, "time", lambda: right() + days * 86400)
            await ledger.a_while()
        assert await ledger.known() == {"projected", "noted"}
    with monkeypatch.context() as jumped:
        jumped.setattr(time, "time", lambda: right() + days * 86400)
        async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
            await ledger.a_while()
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        for run_id in ("projected", "noted"):
            assert await ledger.real.get(RunKey("default", run_id)) is not None


@pytest.mark.parametrize(("older", "newer"), [(0, 1), (1, 0)])
async def test_an_outcome_is_known_as_long_as_one_of_its_records_is_there(
    cluster: FakeCluster, tmp_path: Path, older: int, newer: int
) -> None:
    """A topic that was given partitions has a run's outcomes on two; they are read in any order."""
    write(cluster, published("a", attempt=1), partition=older)
    write(cluster, published("a", attempt=2, phase=Phase.FAILED), partition=newer)
    write(cluster, published("other"), partition=older)
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        await ledger.until_known("a", "other")
        cluster.expire_for_test(RESULTS, before=1, partition=older)
        await ledger.a_while()
        found = await ledger.real.get(RunKey("default", "a"))
        assert found is not None
        assert found.phase is Phase.FAILED
        cluster.expire_for_test(RESULTS, before=1, partition=newer)
        await ledger.until_known("other")


async def test_outcomes_that_the_topic_has_dropped_are_forgotten_and_others_kept(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    for run_id in ("a0", "a1", "a2"):
        write(cluster, published(run_id))
    for run_id in ("b0", "b1"):
        write(cluster, published(run_id), partition=1)
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        await ledger.until_known("a0", "a1", "a2", "b0", "b1")
        cluster.expire_for_test(RESULTS, before=2, partition=0)
        await ledger.until_known("a2", "b0", "b1")
        cluster.expire_for_test(RESULTS, before=1, partition=1)
        await ledger.until_known("a2", "b1")
    # That is what the topic would give.
    async with ledger_of(cluster, tmp_path / "another.sqlite") as ledger:
        assert await ledger.known() == {"a2", "b1"}


async def test_each_topic_s_outcomes_are_forgotten_with_that_topic_s_records(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.create_for_test("results.acme", partitions=2)
    topics = (RESULTS, "results.acme")
    for topic, run_ids in zip(topics, (("a0", "a1"), ("b0", "b1")), strict=True):
        for run_id in run_ids:
            write(cluster, published(run_id), topic=topic)
    async with ledger_of(cluster, tmp_path / "ledger.sqlite", topics=topics) as ledger:
        await ledger.until_known("a0", "a1", "b0", "b1")
        cluster.expire_for_test("results.acme", before=1, partition=0)
        await ledger.until_known("a0", "a1", "b1")
        cluster.expire_for_test(RESULTS, before=2, partition=0)
        await ledger.until_known("b1")


async def test_outcomes_dropped_while_the_dispatcher_was_down_are_forgotten(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    write(cluster, published("early"))
    write(cluster, published("late"))
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        await ledger.until_known("early", "late")
    cluster.expire_for_test(RESULTS, before=1)
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        assert await ledger.known() == {"late"}


async def test_the_last_record_of_a_run_decides(cluster: FakeCluster, tmp_path: Path) -> None:
    write(cluster, published("again", phase=Phase.FAILED))
    write(cluster, published("once"))
    write(cluster, published("again", attempt=2))
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        await ledger.until_known("again", "once")
        cluster.expire_for_test(RESULTS, before=2)
        await ledger.until_known("again")
        cluster.expire_for_test(RESULTS, before=3)
        await ledger.until_known()


async def test_a_recorded_outcome_stays_until_its_record_was_read_and_dropped(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    for number in range(3):
        write(cluster, published(f"other-{number}"))
    noted = published("noted", phase=Phase.REJECTED)
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        cluster.withholding = True
        write(cluster, noted)
        await ledger.real.record(noted)
        cluster.expire_for_test(RESULTS, before=3)
        await ledger.until_known("noted")
        cluster.withholding = False
        await ledger.a_while()
        assert await ledger.known() == {"noted"}
        cluster.expire_for_test(RESULTS, before=4)
        await ledger.until_known()


async def test_an_outcome_projected_before_it_is_recorded_goes_with_its_record(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    noted = published("noted", phase=Phase.REJECTED)
    write(cluster, noted)
    async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
        await ledger.until_known("noted")
        await ledger.real.record(noted)
        cluster.expire_for_test(RESULTS, before=1)
        await ledger.until_known()


async def test_a_file_of_an_earlier_version_is_rebuilt_from_the_topic(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    write(cluster, published("order-1"))
    file = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as earlier:
        earlier.executescript(
            """
            CREATE TABLE outcomes (tenant TEXT, run_id TEXT, recorded_ms INTEGER);
            CREATE TABLE projected_offsets (topic TEXT, partition INTEGER, next_offset INTEGER);
            INSERT INTO projected_offsets VALUES ('sluice.results', 0, 1);
            PRAGMA user_version = 1;
            """
        )
    async with ledger_of(cluster, file) as ledger:
        assert await ledger.known() == {"order-1"}


class TestSqliteLedger(LedgerPortSuite):
    @pytest.fixture
    async def ledger(self, cluster: FakeCluster, tmp_path: Path) -> AsyncIterator[SqliteLedger]:
        async with ledger_of(cluster, tmp_path / "ledger.sqlite") as ledger:
            yield ledger.real
