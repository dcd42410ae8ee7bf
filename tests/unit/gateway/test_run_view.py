"""The view's file."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.store import NotifyingStore
from sluice_gateway.domain.models import AcceptedRun
from sluice_gateway.domain.run_query import RunFilter
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.projector import Projector
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.support.projections import apply
from tests.unit.gateway.harness import (
    DOOR,
    NOW,
    TOPICS,
    opened_store,
    published,
    status_record,
    step,
    view_of,
)
from tests.unit.runtime.clock import now, pause
from tests.unit.runtime.kafka.fake_kafka import FakeCluster

KEY = RunKey("default", "order-1")
ACCEPTED = AcceptedRun(
    key=KEY, workflow="greet", fingerprint="f", partition=0, offset=0, accepted_at=NOW
)


async def test_projected_records_are_there_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with opened_store(tmp_path / "view.sqlite") as sqlite:
            subscriptions = RunSubscriptions()
            view = view_of(sqlite, subscriptions=subscriptions)
            metrics = Metrics(CollectorRegistry())
            store = NotifyingStore(
                sqlite, status_topics=[TOPICS.status], subscriptions=subscriptions, metrics=metrics
            )
            if await store.offsets():
                state = await view.find(KEY)
                assert state is not None
                assert state.phase is Phase.RUNNING
                assert await store.offsets() == {(TOPICS.status, 1): 8}
                await store.forget()
                assert await view.find(KEY) is None
                assert await store.offsets() == {}
            else:
                await apply(store, [status_record(published(3), offset=7)])


async def test_few_states_are_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_store(tmp_path / "view.sqlite") as sqlite:
        view = view_of(sqlite)
        reading, most, read = 0, 0, sqlite.read

        async def counted(sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            rows = await read(sql, arguments)
            reading -= 1
            return rows

        monkeypatch.setattr(sqlite, "read", counted)
        await asyncio.gather(*(view.find(KEY) for _ in range(20)))
        assert most == 2


def accepted(run_id: str, *, partition: int = 0, offset: int) -> AcceptedRun:
    return AcceptedRun(
        key=RunKey("default", run_id),
        workflow="greet",
        fingerprint="f",
        partition=partition,
        offset=offset,
        accepted_at=NOW,
    )


class TestForgetting:
    """Requests stand on partition 0 of their topic, events on partition 1 of theirs."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        async with opened_store(tmp_path / "view.sqlite") as store:
            view = view_of(store)
            for offset, run_id in enumerate(("only-accepted", "running", "over")):
                view.accept(accepted(run_id, offset=offset))
            assert sum((await view.count(RunFilter())).values()) == 3
            events = [
                published(3, run_id="running", steps=(step("a"),)),
                published(3, run_id="over", steps=(step("a"),)),
                published(4, Phase.FAILED, run_id="over"),
                published(5, Phase.SUCCEEDED, run_id="nobody-asked", steps=(step("a"),)),
            ]
            await apply(
                store, [status_record(event, offset=offset) for offset, event in enumerate(events)]
            )
            yield store

    async def kept(self, store: SqliteStore, *, table: str = "runs") -> set[str]:
        found = await store.read(
            f"SELECT DISTINCT run_id FROM runs WHERE number IN (SELECT number FROM {table})"  # noqa: S608
        )
        return {run_id for (run_id,) in found}

    async def test_a_run_goes_with_its_last_record(self, store: SqliteStore) -> None:
        for requests, status, kept in (
            (0, 0, {"only-accepted", "running", "over", "nobody-asked"}),
            (1, 0, {"running", "over", "nobody-asked"}),
            (3, 2, {"running", "over", "nobody-asked"}),
            (3, 3, {"running", "nobody-asked"}),
            # One that goes on is kept, however long ago it was heard of.
            (3, 4, {"running"}),
        ):
            await store.expire({(TOPICS.requests, 0): requests, (TOPICS.status, 1): status})
            assert await self.kept(store) == kept
        for table in ("events", "steps"):
            assert await self.kept(store, table=table) == {"running"}

    async def test_a_request_that_stands_longer_than_the_outcome_keeps_the_run(
        self, store: SqliteStore
    ) -> None:
        await store.expire({(TOPICS.requests, 0): 2, (TOPICS.status, 1): 4})
        assert await self.kept(store) == {"running", "over"}

    async def test_runs_of_a_door_that_was_closed_go_as_well(self, store: SqliteStore) -> None:
        """Its topics are not read any more, so nothing says where they begin."""
        before = await self.kept(store)
        closed = published(5, Phase.SUCCEEDED, run_id="of-globex", tenant="globex")
        await apply(store, [status_record(closed, offset=0)])
        await store.expire({(DOOR.status, 1): 0})
        assert await self.kept(store) == before | {"of-globex"}
        await store.transact(
            lambda connection: connection.execute(
                "DELETE FROM log_starts WHERE topic = ?", (DOOR.status,)
            )
        )
        await store.expire({(TOPICS.status, 1): 0})
        assert await self.kept(store) == before

    async def test_each_partition_of_each_topic_has_a_start_of_its_own(
        self, store: SqliteStore
    ) -> None:
        await store.expire({(TOPICS.requests, 1): 9, (TOPICS.status, 0): 9})
        assert len(await self.kept(store)) == 4

    @pytest.mark.looptime
    @pytest.mark.parametrize("days", [8, -8])
    async def test_a_clock_that_jumps_forgets_nothing(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, days: int
    ) -> None:
        right = time.time
        cluster = FakeCluster()
        cluster.create_for_test(TOPICS.requests)
        cluster.create_for_test(TOPICS.status, partitions=2)
        for _ in range(4):
            for topic, partition in ((TOPICS.requests, 0), (TOPICS.status, 1)):
                cluster.write_for_test(topic, b"read before", partition=partition)
        # As if the rows came from these records.
        for sql in ("UPDATE projected_offsets SET next_offset = 4", "DELETE FROM last_records"):
            await store.transact(methodcaller("execute", sql))
        make: Any = cluster.make_consumer
        projector = Projector(
            name="view", topics=(TOPICS.requests, TOPICS.status), store=store, make_consumer=make
        )
        running = asyncio.create_task(projector.run())
        monkeypatch.setattr(time, "time", lambda: right() + days * 86400)
        for _ in range(130):
            await pause(1)
            # Work in threads keeps no virtual time, so each second is waited for.
            await projector.wait_caught_up(as_of=now())
        assert not running.done()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert len(await self.kept(store)) == 4


class TestHistory:
    """Both clocks have to say that a run is old, ours and Kafka's."""

    async def kept(self, path: Path, *, ahead: timedelta, newest: int) -> int:
        """Give how many of two runs are kept, the newer one `newest` days younger."""
        day = 24 * 3600 * 1000
        async with opened_store(path, history=timedelta(days=30), now=lambda: NOW + ahead) as store:
            old, new = (
                status_record(published(1, Phase.FAILED, run_id=run_id), offset=offset)
                for offset, run_id in enumerate(("old", "new"))
            )
            await apply(store, [old, replace(new, timestamp_ms=new.timestamp_ms + newest * day)])
            await store.expire({(TOPICS.status, 1): 2})
            [(runs,)] = await store.read("SELECT COUNT(*) FROM runs")
        return int(runs)

    async def test_a_clock_that_jumps_ahead_forgets_nothing(self, tmp_path: Path) -> None:
        assert await self.kept(tmp_path / "view", ahead=timedelta(days=100), newest=1) == 2

    async def test_a_broker_whose_clock_jumps_ahead_makes_nobody_forget(
        self, tmp_path: Path
    ) -> None:
        assert await self.kept(tmp_path / "view", ahead=timedelta(days=1), newest=100) == 2

    async def test_what_both_call_old_is_forgotten(self, tmp_path: Path) -> None:
        assert await self.kept(tmp_path / "view", ahead=timedelta(days=40), newest=40) == 1
