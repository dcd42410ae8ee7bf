"""The view in SQLite faces the suite of every store of runs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.records import IncomingRecord
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.run_view import lists
from sluice_gateway.adapters.run_view.reader import SqliteRunView
from sluice_gateway.adapters.run_view.store import NotifyingStore
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.subscriptions import RunSubscriptions
from tests.behaviour.run_view_port import HISTORY, PARTITIONS, ListSuite, RunViewPortSuite
from tests.support.projections import apply
from tests.unit.gateway.harness import NOW, SETS, TOPICS, opened_store, view_of


@dataclass(frozen=True)
class SqliteRunStore:
    """See `RunStore`."""

    view: SqliteRunView
    projection: NotifyingStore

    def now(self) -> datetime:
        return NOW

    async def apply(self, records: Sequence[IncomingRecord]) -> None:
        await apply(self.projection, records)

    async def delete_records_before(self, offset: int, *, topics: TopicNames = TOPICS) -> None:
        await self.projection.expire(
            {
                (topic, partition): offset
                for topic in (topics.requests, topics.status)
                for partition in range(PARTITIONS)
            }
        )

    async def forget_old_runs(self) -> None:
        for each in SETS:
            await self.delete_records_before(1000, topics=each.topics)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteRunStore]:
    async with opened_store(path, history=HISTORY) as sqlite:
        subscriptions = RunSubscriptions()
        yield SqliteRunStore(
            view=view_of(sqlite, subscriptions=subscriptions),
            projection=NotifyingStore(
                sqlite,
                status_topics=SETS.status,
                subscriptions=subscriptions,
                metrics=Metrics(CollectorRegistry()),
            ),
        )


class TestSqliteRunView(RunViewPortSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteRunStore]:
        async with opened(tmp_path / "view.sqlite") as store:
            yield store


class TestListsOfManyRuns(ListSuite):
    """As if there were so many runs that they are not looked at as a whole."""

    @pytest.fixture(params=[300, 0], ids=["kinds merged", "kinds not merged"])
    async def store(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> AsyncIterator[SqliteRunStore]:
        monkeypatch.setattr(lists, "_FEW", 0)
        monkeypatch.setattr(lists, "_MOST_KINDS", request.param)
        async with opened(tmp_path / "view.sqlite") as store:
            yield store
