"""The view of runs in a real PostgreSQL: it says what the one in SQLite says, come what may."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_store_postgres.history import History
from sluice_gateway.adapters.run_store_postgres.listener import Listener
from sluice_gateway.adapters.run_store_postgres.progress import ProjectionProgress
from sluice_gateway.adapters.run_store_postgres.schema import NewerSchemaError, migrate
from sluice_gateway.adapters.run_store_postgres.status_rows import write_status
from sluice_gateway.adapters.run_store_postgres.store import FencedError
from sluice_gateway.domain.run_changes import EventChange
from sluice_gateway.domain.run_query import LabelTest, RunFilter, RunPlace, StreamPlace
from sluice_gateway.ports import LogTruncatedError, RunView
from sluice_gateway.services.subscriptions import RunSubscriptions
from tests.support.postgres import PostgresServer, create_database
from tests.support.postgres_runs import PostgresRuns, postgres_runs
from tests.support.projections import apply
from tests.support.run_histories import LABELS, TENANTS, WORKFLOWS, RunHistories
from tests.unit.gateway.harness import (
    CATALOGUE,
    NOW,
    TOPICS,
    opened_store,
    published,
    status_record,
    view_of,
)
from tests.unit.gateway.test_projection import request_record

pytestmark = pytest.mark.integration

KEY = RunKey("default", "order-1")

FILTERS = [
    RunFilter(),
    *(RunFilter(tenant=each) for each in TENANTS),
    *(RunFilter(workflow=each) for each in WORKFLOWS),
    *(RunFilter(phases=frozenset(each)) for each in ([Phase.RUNNING], list(Phase)[:6])),
    RunFilter(phases=frozenset({Phase.ACCEPTED, Phase.FAILED}), tenant="acme"),
    *(
        RunFilter(labels=(LabelTest(name=name, value=value, equal=equal),))
        for labels in LABELS
        for name, value in labels.items()
        for equal in (True, False)
    ),
    RunFilter(labels=(LabelTest(name="team", value="a"), LabelTest(name="env", value="prod"))),
    *(RunFilter(text=each) for each in ("order", "er_1", "r%", "2.x", "\\", "ORDER")),
    RunFilter(since=NOW - timedelta(seconds=20), until=NOW + timedelta(seconds=90)),
]


class Between:
    """A connection that calls something once, after its first query."""

    def __init__(self, connection: Any, then: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._then = then
        self.has_called = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, *arguments: Any) -> Any:
        rows = await self._connection.fetch(*arguments)
        if not self.has_called:
            self.has_called = True
            await self._then()
        return rows


def no_kafka() -> Any:
    raise AssertionError("Nothing reads from Kafka here.")


def now() -> Any:
    return NOW + timedelta(minutes=3)


async def everything(view: RunView, histories: RunHistories) -> dict[str, Any]:
    """Return all that the view says, by what was asked."""
    said: dict[str, Any] = {}
    for key in histories.keys:
        said[f"state of {key}"] = await view.find(key)
        page = await view.events(key, beyond=-1, after=None, limit=3)
        said[f"events of {key}"] = page
        if page and page.events:
            said[f"more events of {key}"] = await view.events(
                key, beyond=-1, after=page.events[-1].place, limit=100
            )
        said[f"contents of {key}"] = await view.contents(key, 0, max_bytes=100_000)
    for query in FILTERS:
        said[f"count of {query}"] = await view.count(query)
        said[f"list of {query}"] = await every_page(view, query)
        said[f"stream of {query}"] = await every_event(view, query)
    said["stream's end"] = await view.stream_end()
    return said


async def every_page(view: RunView, query: RunFilter) -> list[Any]:
    runs: list[Any] = []
    before: RunPlace | None = None
    while True:
        page = await view.list(query, before=before, limit=3)
        runs += page.runs
        if (before := page.next) is None:
            return runs


async def every_event(view: RunView, query: RunFilter) -> list[Any]:
    events: list[Any] = []
    place = StreamPlace()
    while True:
        page = await view.all_events(query, after=place, limit=3, max_bytes=3000)
        events += [(each.key, each.partition, each.offset, each.data) for each in page.events]
        if page.place == place:
            return events
        place = page.place


def without_partitions_of_its_own(said: dict[str, Any]) -> dict[str, Any]:
    """Return it without the places of partitions that nothing was read of."""
    ends = {number: at for number, at in said["stream's end"].next_offsets.items() if at}
    return {**said, "stream's end": ends}


@pytest.mark.parametrize("seed", range(8))
async def test_it_says_what_the_view_in_sqlite_says(
    database: str, tmp_path: Path, seed: int
) -> None:
    histories = RunHistories(seed, runs=7)
    sizes = random.Random(seed)  # noqa: S311 - it has to repeat
    async with (
        postgres_runs(
            database, topics=TOPICS, keeps_parameters=CATALOGUE.keeps_parameters, now=now
        ) as postgres,
        opened_store(tmp_path / "view.sqlite") as store,
    ):
        for _ in range(4):
            records = histories.records(sizes.randrange(1, 40))
            await apply(store, records)
            at = 0
            while at < len(records):
                # In other portions, some of them twice, as after a crash of the topic's reader.
                size = sizes.randrange(1, 20)
                await postgres.apply(records[at : at + size])
                at += size
        expected = without_partitions_of_its_own(
            await everything(view_of(store, now=now), histories)
        )
        said = without_partitions_of_its_own(await everything(postgres.view, histories))
        assert said.keys() == expected.keys()
        for question, answer in said.items():
            assert answer == expected[question], question


async def test_a_projector_that_has_lost_its_partition_writes_nothing(database: str) -> None:
    async with (
        postgres_runs(database, topics=TOPICS) as old,
        postgres_runs(database, topics=TOPICS) as new,
    ):
        await old.apply([status_record(published(1), offset=0)])
        await new.begin()
        # The new one is ahead, and the old one does not know it.
        await new.apply([status_record(published(2), offset=1)])
        stale = [status_record(published(9, Phase.FAILED), offset=1)]
        with pytest.raises(FencedError):
            await old.apply(stale)
        state = await new.view.find(KEY)
        assert state is not None
        assert state.phase is Phase.RUNNING
        await old.begin()
        await old.apply([status_record(published(3, Phase.SUCCEEDED), offset=2)])
        assert await old.store.offsets() == await new.store.offsets()


async def test_of_two_that_write_at_once_the_second_is_fenced(database: str) -> None:
    async with (
        postgres_runs(database, topics=TOPICS) as one,
        postgres_runs(database, topics=TOPICS) as other,
    ):
        await one.begin()
        await other.begin()
        records = [status_record(published(1), offset=0)]
        outcomes = await asyncio.gather(
            one.apply(records), other.apply(records), return_exceptions=True
        )
        assert [type(each) for each in outcomes if each is not None] == [FencedError]
        page = await one.view.events(KEY, beyond=-1, after=None, limit=10)
        assert page is not None
        assert len(page.events) == 1


@pytest.mark.parametrize("written_last", ["older", "newer"])
async def test_a_run_on_two_partitions_has_the_newest_status_in_any_order(
    database: str, written_last: str
) -> None:
    """A tenant that was given topics of its own has records of one run on two."""
    older = status_record(published(2), offset=0, partition=0)
    newer = status_record(published(3, Phase.SUCCEEDED), offset=0, partition=1)
    last, before = (older, newer) if written_last == "older" else (newer, older)
    async with (
        postgres_runs(database, topics=TOPICS) as one,
        postgres_runs(database, topics=TOPICS) as other,
    ):
        await other.begin()
        [change] = await one.store.decode([last])
        assert isinstance(change, EventChange)
        async with one.pool.acquire() as connection, connection.transaction():
            # The other writes between the moments when this one reads the run and writes it.
            between = Between(connection, partial(other.apply, [before]))
            await write_status(between, [change], epoch=0)
        assert between.has_called
        state = await one.view.find(KEY)
        assert state is not None
        assert state.phase is Phase.SUCCEEDED


async def test_text_that_postgres_cannot_store_comes_through_in_events(database: str) -> None:
    async with postgres_runs(database, topics=TOPICS) as runs:
        event = published(1, message="a\0b", progress="\0", outputs={"\0": "\0"})
        await runs.apply([status_record(event, offset=0)])
        [content] = await runs.view.contents(KEY, 0, max_bytes=1)
        assert content.data == event.event.model_dump_json()
        [summary] = (await runs.view.list(RunFilter(), before=None, limit=10)).runs
        assert summary.progress == "\N{REPLACEMENT CHARACTER}"
        for asked in (RunFilter(workflow="\0"), RunFilter(text="\0"), RunFilter(tenant="\0")):
            assert (await runs.view.list(asked, before=None, limit=10)).runs == ()


async def test_a_replica_that_connects_again_wakes_all_who_follow(database: str) -> None:
    subscriptions = RunSubscriptions()
    async with postgres_runs(database, topics=TOPICS, subscriptions=subscriptions) as runs:
        await runs.apply([status_record(published(1), offset=0)])
        progress = ProjectionProgress(topics=(), make_consumer=no_kafka)
        with subscriptions.subscribe(str(KEY)) as of_run, subscriptions.subscribe_all() as of_all:
            listener = Listener(
                lambda: asyncpg.connect(database), subscriptions=subscriptions, progress=progress
            )
            listening = asyncio.create_task(listener.run())
            try:
                assert await of_run.wait(within=30)
                assert await of_all.wait(within=30)
                of_run.looked()
                # What is lost is noticed, and not waited for.
                await runs.pool.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                    await asyncio.wait_for(listening, 30)
            finally:
                listening.cancel()


class TestHistory:
    """Runs that are over go after their time, and nothing else does."""

    async def kept(self, runs: PostgresRuns, *, keep: timedelta) -> set[str]:
        history = History(runs.pool, topics=runs.topics, partitions=runs.partitions, keep=keep)
        await history.forget()
        page = await runs.view.list(RunFilter(), before=None, limit=100)
        return {each.key.run_id for each in page.runs}

    async def test_what_is_over_goes_and_what_goes_on_stays(self, database: str) -> None:
        async with postgres_runs(database, topics=TOPICS) as runs:
            await runs.apply(
                [
                    status_record(published(1, run_id="goes-on"), offset=0),
                    status_record(published(1, Phase.FAILED, run_id="over"), offset=1),
                    # Kafka's time grows by a millisecond with every offset here.
                    status_record(published(1, Phase.FAILED, run_id="newer"), offset=5_000),
                    status_record(published(1, run_id="newest"), offset=10_000),
                ]
            )
            everything = {"goes-on", "over", "newer", "newest"}
            assert await self.kept(runs, keep=timedelta(seconds=10)) == everything
            assert await self.kept(runs, keep=timedelta(seconds=8)) == everything - {"over"}
            after = StreamPlace(next_offsets={1: 2})
            page = await runs.view.all_events(RunFilter(), after=after, limit=9, max_bytes=99_999)
            assert [each.key.run_id for each in page.events] == ["newer", "newest"]
            for older in (StreamPlace(), StreamPlace(next_offsets={1: 1})):
                with pytest.raises(LogTruncatedError, match="before offset 2 are no longer kept"):
                    await runs.view.all_events(RunFilter(), after=older, limit=9, max_bytes=99_999)
            assert await self.kept(runs, keep=timedelta(0)) == {"goes-on", "newest"}

    async def test_a_store_that_was_away_for_too_long_has_a_gap(self, database: str) -> None:
        async with postgres_runs(database, topics=TOPICS) as runs:
            await runs.apply([status_record(published(1), offset=0)])
            before = await runs.view.stream_end()
            # Kafka has deleted what came next.
            await runs.store.begin({(TOPICS.status, 1): 7})
            with pytest.raises(LogTruncatedError):
                await runs.view.all_events(RunFilter(), after=before, limit=9, max_bytes=99_999)
            end = await runs.view.stream_end()
            page = await runs.view.all_events(RunFilter(), after=end, limit=9, max_bytes=99_999)
            assert page.events == ()


async def test_runs_outlive_the_topic_that_they_came_from(database: str) -> None:
    async with postgres_runs(database, topics=TOPICS) as runs:
        await runs.apply([request_record(0, name="Ada"), status_record(published(4), offset=100)])
        epoch = runs.places[TOPICS.status, 1].epoch
        place = await runs.view.stream_end()
        for topic in (TOPICS.requests, TOPICS.status):
            for _ in range(2):
                # Each replica notices it.
                await runs.store.forget(topic, epoch=epoch)
        await runs.begin()
        assert runs.places[TOPICS.status, 1].epoch == epoch + 1
        with pytest.raises(LogTruncatedError, match="replaced"):
            await runs.view.all_events(RunFilter(), after=place, limit=9, max_bytes=99_999)
        # Another request under the same id, and a later event, at offsets that were there before.
        await runs.apply(
            [
                request_record(0, name="Bob"),
                status_record(published(5, Phase.SUCCEEDED), offset=100),
            ]
        )
        state = await runs.view.find(KEY)
        assert state is not None
        assert state.parameters == {"name": "Ada"}
        assert state.phase is Phase.SUCCEEDED
        page = await runs.view.events(KEY, beyond=-1, after=None, limit=10)
        assert page is not None
        assert [each.sequence for each in page.events] == [4, 5]
        streamed = await runs.view.all_events(
            RunFilter(), after=StreamPlace(), limit=9, max_bytes=99_999
        )
        assert [each.type for each in streamed.events] == ["sluice.run.succeeded"]


class TestSchema:
    async def test_replicas_that_start_together_make_the_tables_once(self, database: str) -> None:
        async def start() -> None:
            connection = await asyncpg.connect(database)
            try:
                await migrate(connection)
            finally:
                await connection.close()

        await asyncio.gather(*(start() for _ in range(5)))

    async def test_tables_of_a_newer_version_are_left_alone(self, database: str) -> None:
        connection = await asyncpg.connect(database)
        try:
            await migrate(connection)
            await connection.execute("UPDATE schema_version SET version = 99")
            with pytest.raises(NewerSchemaError, match=r"version 99 .* Run the newer Sluice"):
                await migrate(connection)
        finally:
            await connection.close()


async def test_killed_at_random_it_holds_what_one_holds_that_was_never_killed(
    postgres: PostgresServer,
) -> None:
    histories = RunHistories(4711, runs=40)
    records = histories.records(3000)
    killed, whole = await create_database(postgres), await create_database(postgres)
    async with postgres_runs(whole, topics=TOPICS, now=now) as runs:
        await runs.apply(records)
        expected = await everything(runs.view, histories)

    chance = random.Random(4711)  # noqa: S311 - it has to repeat
    for _ in range(100):
        statements = itertools.count(1)
        last = chance.randrange(20, 70)
        async with postgres_runs(killed, topics=TOPICS) as runs:

            def kill_in_time(_: object) -> None:
                if next(statements) == last:  # noqa: B023 - called while it is the last one
                    # Like the end of the process, in the middle of whatever it does.
                    runs.pool.terminate()

            runs.after_each_statement(kill_in_time)
            assert not await project_rest(runs, records, portion=10)
    async with postgres_runs(killed, topics=TOPICS, now=now) as runs:
        assert await project_rest(runs, records, portion=500)
        assert await everything(runs.view, histories) == expected


async def project_rest(runs: PostgresRuns, records: list[IncomingRecord], *, portion: int) -> bool:
    """Project what the database does not hold yet; return whether it was there to the end."""
    try:
        await runs.begin()
        left = [
            each
            for each in records
            if each.position.offset
            >= runs.places[each.position.topic, each.position.partition].next_offset
        ]
        for at in range(0, len(left), portion):
            await runs.apply(left[at : at + portion])
    except (
        *(asyncpg.PostgresError, asyncpg.InterfaceError, OSError),
        # What asyncpg says to a task that uses a pool which is gone.
        asyncpg.InternalClientError,
    ):
        return False
    return True
