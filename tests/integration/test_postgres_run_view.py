"""The view in PostgreSQL faces the suite of every store of runs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from sluice_contracts.records import IncomingRecord
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.run_store_postgres.history import History
from sluice_gateway.adapters.run_store_postgres.listener import Listener
from sluice_gateway.adapters.run_store_postgres.progress import ProjectionProgress
from sluice_gateway.adapters.run_store_postgres.reader import PostgresRunView
from sluice_gateway.services.subscriptions import RunSubscriptions
from tests.behaviour.run_view_port import HISTORY, RunViewPortSuite
from tests.support.postgres_runs import PostgresRuns, postgres_runs
from tests.unit.gateway.harness import CATALOGUE, NOW, SETS, TOPICS

pytestmark = pytest.mark.integration


def no_kafka() -> Any:
    raise AssertionError("Nothing reads from Kafka here.")


@dataclass(frozen=True)
class PostgresRunStore:
    """See `RunStore`."""

    runs: PostgresRuns

    @property
    def view(self) -> PostgresRunView:
        return self.runs.view

    def now(self) -> datetime:
        return NOW

    async def apply(self, records: Sequence[IncomingRecord]) -> None:
        await self.runs.apply(records)

    async def delete_records_before(self, offset: int, *, topics: TopicNames = TOPICS) -> None:
        await self.runs.begin(start=offset, topics=(topics.requests, topics.status))

    async def forget_old_runs(self) -> None:
        history = History(
            self.runs.pool,
            topics=self.runs.topics,
            partitions=self.runs.partitions,
            keep=HISTORY,
            now=self.now,
        )
        await history.forget()


class TestPostgresRunView(RunViewPortSuite):
    @pytest.fixture
    async def store(self, database: str) -> AsyncIterator[PostgresRunStore]:
        subscriptions = RunSubscriptions()
        async with postgres_runs(
            database,
            topics=SETS,
            subscriptions=subscriptions,
            keeps_parameters=CATALOGUE.keeps_parameters,
            now=lambda: NOW,
        ) as runs:
            await runs.begin()
            listening = asyncio.create_task(
                Listener(
                    lambda: asyncpg.connect(database),
                    subscriptions=subscriptions,
                    progress=ProjectionProgress(topics=(), make_consumer=no_kafka),
                ).run()
            )
            try:
                yield PostgresRunStore(runs)
            finally:
                listening.cancel()
                await asyncio.wait({listening})
