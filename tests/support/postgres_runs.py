"""The store of runs in a real PostgreSQL, fed by hand instead of by Kafka."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord
from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.run_store_postgres.partition_numbers import PartitionNumbers
from sluice_gateway.adapters.run_store_postgres.reader import PostgresRunView
from sluice_gateway.adapters.run_store_postgres.schema import migrate
from sluice_gateway.adapters.run_store_postgres.store import PostgresStore, StoredPlace
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.last_records import LastRecord

PARTITIONS = 3
"""Of each topic."""


@dataclass(kw_only=True)
class PostgresRuns:
    """The parts of one replica that use the database, without those that use Kafka."""

    pool: Any
    store: PostgresStore
    view: PostgresRunView
    partitions: PartitionNumbers
    topics: TopicSets
    places: dict[tuple[str, int], StoredPlace] = field(default_factory=dict)
    _watchers: list[Callable[[object], None]] = field(default_factory=list)

    def after_each_statement(self, watch: Callable[[object], None]) -> None:
        """Call `watch` after each statement from now on."""
        self._watchers.append(watch)

    def note_statement(self, statement: object) -> None:
        """Call all who watch."""
        for watch in self._watchers:
            watch(statement)

    async def apply(self, records: Sequence[IncomingRecord]) -> None:
        """Project the records, like a projector that has read them; each topic by itself."""
        if not self.places:
            await self.begin()
        for topic in (*self.topics.requests, *self.topics.status):
            of_topic = [each for each in records if each.position.topic == topic]
            if of_topic:
                await self._project(topic, of_topic)

    async def begin(self, *, start: int = 0, topics: Sequence[str] | None = None) -> None:
        """Read how far everything is projected; `start` is the first offset on the topics."""
        topics = topics or (*self.topics.requests, *self.topics.status)
        self.places |= await self.store.begin(
            {(topic, number): start for topic in topics for number in range(PARTITIONS)}
        )

    async def _project(self, topic: str, records: Sequence[IncomingRecord]) -> None:
        last = {each.position.partition: each for each in records}
        moves = {
            number: (
                self.places[topic, number],
                StoredPlace(
                    next_offset=record.position.offset + 1,
                    epoch=self.places[topic, number].epoch,
                    last=LastRecord(record.position.offset, record.timestamp_ms),
                ),
            )
            for number, record in last.items()
        }
        await self.store.apply(topic, await self.store.decode(records), moves=moves)
        self.places |= {(topic, number): moved for number, (_, moved) in moves.items()}


@asynccontextmanager
async def postgres_runs(
    dsn: str,
    *,
    topics: TopicNames | TopicSets,
    subscriptions: RunSubscriptions | None = None,
    **more: Any,
) -> AsyncIterator[PostgresRuns]:
    """Open the database, whose tables are made if they are missing."""

    async def caught_up() -> str | None:
        return None

    watched: list[PostgresRuns] = []
    sets = topics if isinstance(topics, TopicSets) else TopicSets(topics)

    def note(statement: object) -> None:
        for each in watched:
            each.note_statement(statement)

    async def watch(connection: Any) -> None:
        connection.add_query_logger(note)

    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=4,
        init=watch,
        server_settings={"plan_cache_mode": "force_custom_plan"},
    )
    try:
        async with pool.acquire() as connection:
            await migrate(connection)
            partitions = await PartitionNumbers.load(connection, [each.name for each in sets][1:])
        keeps = more.pop("keeps_parameters", lambda _: True)
        store = PostgresStore(
            pool, origins=RecordOrigins(sets), partitions=partitions, keeps_parameters=keeps
        )
        view = PostgresRunView(
            pool,
            store,
            topics=sets,
            partitions=partitions,
            subscriptions=subscriptions or RunSubscriptions(),
            catch_up=caught_up,
            **more,
        )
        watched.append(
            PostgresRuns(pool=pool, store=store, view=view, partitions=partitions, topics=sets)
        )
        yield watched[0]
    finally:
        pool.terminate()
