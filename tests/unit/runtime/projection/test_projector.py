"""A projection follows its topics, measures its staleness, and survives faults."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from sluice_contracts.records import IncomingRecord
from sluice_runtime.backoff import Backoff
from sluice_runtime.projection import projector as projector_module
from sluice_runtime.projection.projector import ProjectionStore, Projector
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.unit.runtime.clock import now, pause, until
from tests.unit.runtime.kafka.fake_kafka import FakeCluster
from tests.unit.runtime.log_capture import captured
from tests.unit.runtime.projection.word_table import open_store, words

pytestmark = pytest.mark.looptime


@pytest.fixture
async def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.create_for_test("t", partitions=2)
    return cluster


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_store(tmp_path / "view.sqlite") as store:
        yield store


def make_projector(
    cluster: FakeCluster,
    store: ProjectionStore,
    *topics: str,
    clock: Callable[[], float] | None = None,
    newest: int | None = None,
) -> Projector:
    make: Any = cluster.make_consumer
    return Projector(
        name="view",
        topics=topics or ("t",),
        store=store,
        make_consumer=make,
        backoff=Backoff(uniform=lambda _, high: high),
        clock=clock,
        newest=newest,
    )


@contextlib.asynccontextmanager
async def running(projector: Projector) -> AsyncIterator[Projector]:
    task = asyncio.create_task(projector.run())
    try:
        yield projector
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_all_records_are_projected(cluster: FakeCluster, store: SqliteStore) -> None:
    cluster.create_for_test("u")
    for word in "aab":
        cluster.write_for_test("t", word.encode())
    cluster.write_for_test("t", b"c", partition=1)
    cluster.write_for_test("u", b"a")
    projector = make_projector(cluster, store, "t", "u")
    assert projector.staleness() is None
    assert projector.waiting_for() == "the topics are still being read"
    async with running(projector):
        await projector.wait_fresh(within=10)
        assert projector.waiting_for() is None
        assert await words(store) == {"a": 3, "b": 1, "c": 1}
        assert await store.offsets() == {("t", 0): 3, ("t", 1): 1, ("u", 0): 1}
    assert cluster.consumers[0].state == "stopped"


async def test_wait_caught_up_returns_once_current_records_are_projected(
    cluster: FakeCluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By itself it would not look again.
    monkeypatch.setattr(projector_module, "_ASK_EVERY_S", float("inf"))
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        for word in "abc":
            cluster.write_for_test("t", word.encode())
            await projector.wait_caught_up(as_of=now())
            assert word in await words(store)


async def test_wait_caught_up_does_not_wait_for_projected_records(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        asked = now()
        await projector.wait_caught_up(as_of=asked - 10)
        assert now() == asked


async def test_a_silent_broker_delays_completeness(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        cluster.silent = True
        await pause(5)
        waiter = asyncio.create_task(projector.wait_caught_up(as_of=now()))
        await pause(100)
        assert not waiter.done()
        cluster.silent = False
        await waiter


async def test_empty_topics_are_complete(cluster: FakeCluster, store: SqliteStore) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {}


async def test_more_records_than_a_batch_are_projected(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    for _ in range(1300):
        cluster.write_for_test("t", b"a")
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"a": 1300}


async def test_only_the_newest_records_of_each_partition_are_projected_if_so_wanted(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    for word in "abcd":
        cluster.write_for_test("t", word.encode())
    cluster.write_for_test("t", b"e", partition=1)
    async with running(make_projector(cluster, store, newest=5)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"c": 1, "d": 1, "e": 1}
        for word in "fgh":
            cluster.write_for_test("t", word.encode())
        await projector.wait_caught_up(as_of=now())
        assert await words(store) == dict.fromkeys("cdefgh", 1)


async def test_large_records_are_projected_in_portions(
    cluster: FakeCluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of 500 records may have 800 MB."""
    prepare, portions = store.prepare, []

    async def noting(records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        portions.append(sum(len(record.value or b"") for record in records))
        return await prepare(records)

    monkeypatch.setattr(store, "prepare", noting)
    for _ in range(40):
        cluster.write_for_test("t", b"a" * 500_000)
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"a" * 500_000: 40}
    assert sum(portions) == 40 * 500_000
    assert max(portions) < 2 * 1024 * 1024 + 500_000


async def test_projection_continues_at_the_stored_offsets(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    cluster.write_for_test("t", b"a")
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
    cluster.write_for_test("t", b"b")
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"a": 1, "b": 1}


async def test_records_deleted_by_retention_are_skipped(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    for word in "abcd":
        cluster.write_for_test("t", word.encode())
    cluster.expire_for_test("t", before=3)
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"d": 1}
    assert cluster.consumers[0].sought == {TopicPartition("t", 0): 3, TopicPartition("t", 1): 0}
    for word in "efg":
        cluster.write_for_test("t", word.encode())
    cluster.expire_for_test("t", before=99)
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"d": 1}


class Starts:
    """A store that records the calls of `expire`."""

    def __init__(self, store: SqliteStore) -> None:
        self.offsets, self.prepare, self.forget = store.offsets, store.prepare, store.forget
        self.last_records = store.last_records
        self.seen: list[dict[int, int]] = []

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        self.seen.append({partition: first for (_, partition), first in starts.items()})


async def test_the_store_expires_rows_at_the_start_and_on_changes(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    for word in "abcd":
        cluster.write_for_test("t", word.encode())
    cluster.expire_for_test("t", before=1)
    starts = Starts(store)
    async with running(make_projector(cluster, starts)) as projector:
        await projector.wait_fresh(within=10)
        assert starts.seen == [{0: 1, 1: 0}]
        await pause(600)
        assert len(starts.seen) == 1
        cluster.expire_for_test("t", before=3)

        async def expired() -> bool:
            return starts.seen == [{0: 1, 1: 0}, {0: 3, 1: 0}]

        await until(expired)
    async with running(make_projector(cluster, starts)) as projector:
        await projector.wait_fresh(within=10)
        assert starts.seen[2:] == [{0: 3, 1: 0}]


async def test_offsets_without_records_do_not_delay_it(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    cluster.write_for_test("t", b"a")
    cluster.gap_for_test("t")
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)


async def project_abc(cluster: FakeCluster, store: SqliteStore) -> None:
    for word in "abc":
        cluster.write_for_test("t", word.encode())
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)


async def test_a_recreated_topic_is_projected_again(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    await project_abc(cluster, store)
    cluster.recreate_for_test("t")
    cluster.write_for_test("t", b"z")
    with captured(projector_module) as logged:
        async with running(make_projector(cluster, store)) as projector:
            await projector.wait_fresh(within=10)
            assert await words(store) == {"z": 1}
            assert await store.offsets() == {("t", 0): 1}
    assert [each["event"] for each in logged] == ["topics were recreated, projection starts again"]


async def test_a_recreated_topic_that_has_grown_since_is_projected_again(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    """Its offsets do not show that; the record projected last does."""
    await project_abc(cluster, store)
    cluster.recreate_for_test("t")
    for word in "wxyz":
        cluster.write_for_test("t", word.encode())
    with captured(projector_module) as logged:
        async with running(make_projector(cluster, store)) as projector:
            await projector.wait_fresh(within=10)
            assert await words(store) == {"w": 1, "x": 1, "y": 1, "z": 1}
    assert [each["event"] for each in logged] == ["topics were recreated, projection starts again"]


async def test_a_topic_without_the_record_projected_last_is_continued(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    """Compaction deletes it once its key has a later record."""
    await project_abc(cluster, store)
    cluster.write_for_test("t", b"d")
    cluster.compact_for_test("t", offset=2)
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"a": 1, "b": 1, "c": 1, "d": 1}


async def test_a_restarted_projection_is_not_complete(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    """An empty ledger that claims to be fresh would let replays through."""
    for word in "abc":
        cluster.write_for_test("t", word.encode())
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        cluster.recreate_for_test("t")
        cluster.write_for_test("t", b"z")
        cluster.withholding = True
        cluster.consumers[0].fails_once_with = KafkaError()

        async def emptied() -> bool:
            return await words(store) == {}

        await until(emptied)
        assert projector.staleness() is None
        assert projector.waiting_for() is not None
        cluster.withholding = False
        await projector.wait_fresh(within=10)
        assert await words(store) == {"z": 1}


async def test_staleness_grows_while_the_broker_is_silent(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=1)
        cluster.silent = True
        await pause(100)
        assert (projector.staleness() or 0) >= 99
        assert projector.waiting_for() is None

        waiter = asyncio.create_task(projector.wait_fresh(within=1))
        await pause(10)
        assert not waiter.done()
        cluster.silent = False
        await waiter
        assert (projector.staleness() or 0) <= 2


async def test_an_answer_from_before_a_freeze_has_the_age_of_its_request(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=1)
        cluster.silent = True
        await pause(100)
        cluster.write_for_test("t", b"ended meanwhile")
        # The answer of then is read now; what was written since does not come yet.
        cluster.withholding = True
        cluster.silent = False
        waiter = asyncio.create_task(projector.wait_fresh(within=50))
        await pause(10)
        assert (projector.staleness() or 0) >= 109
        assert not waiter.done()
        cluster.withholding = False
        await waiter
        assert "ended meanwhile" in await words(store)


async def test_a_suspended_machine_makes_the_projection_stale(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    """The loop's clock stops while the machine sleeps; the projection has its own clock."""
    suspended = 0.0
    projector = make_projector(cluster, store, clock=lambda: now() + suspended)
    async with running(projector):
        await projector.wait_fresh(within=1)
        cluster.write_for_test("t", b"ended meanwhile")
        cluster.withholding = True
        suspended = 100.0
        waiter = asyncio.create_task(projector.wait_fresh(within=50))
        await pause(10)
        assert not waiter.done()
        cluster.withholding = False
        await waiter
        assert "ended meanwhile" in await words(store)


async def test_a_lagging_projection_has_the_age_of_its_records(
    cluster: FakeCluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One partition is complete; a record of the other does not arrive."""
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=1)
        consumer = cluster.consumers[0]

        async def behind(_: object) -> int:
            return -1

        monkeypatch.setattr(consumer, "position", behind)
        await pause(50)
        assert (projector.staleness() or 0) >= 49
        monkeypatch.undo()
        await projector.wait_fresh(within=1)


async def test_an_idle_projection_stays_fresh(cluster: FakeCluster, store: SqliteStore) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=1)
        for _ in range(100):
            await pause(37)
            assert (projector.staleness() or 0) <= 2


@pytest.mark.parametrize("error", [KafkaError(), KafkaConnectionError(), OSError(), TimeoutError()])
async def test_errors_of_kafka_are_retried(
    cluster: FakeCluster, store: SqliteStore, error: Exception
) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=1)
        cluster.consumers[0].fails_once_with = error

        async def reconnected() -> bool:
            return [each.state for each in cluster.consumers] == ["stopped", "started"]

        with captured(projector_module) as logged:
            cluster.write_for_test("t", b"a")
            await until(reconnected)
            await projector.wait_fresh(within=1)
        assert [(each["event"], each["projection"]) for each in logged] == [
            ("projection interrupted", "view")
        ]
        assert await words(store) == {"a": 1}


async def test_pauses_between_retries_grow_and_reset(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    cluster.down = True
    with captured(projector_module) as logged:
        async with running(make_projector(cluster, store)) as projector:
            await pause(5)
            pauses = [each["retry_in"] for each in logged]
            assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2]
            cluster.down = False
            await projector.wait_fresh(within=1)
            cluster.consumers[-1].fails_once_with = KafkaError()

            async def retried() -> bool:
                return len(logged) > len(pauses)

            await until(retried)
            assert logged[-1]["retry_in"] == 0.2


async def test_a_missing_topic_is_awaited(cluster: FakeCluster, store: SqliteStore) -> None:
    async with running(make_projector(cluster, store, "later")) as projector:
        await pause(5)
        assert projector.staleness() is None
        cluster.create_for_test("later")
        cluster.write_for_test("later", b"a")
        await projector.wait_fresh(within=1)
        assert await words(store) == {"a": 1}


async def test_partitions_added_later_are_found(cluster: FakeCluster, store: SqliteStore) -> None:
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=1)
        cluster.create_for_test("t", partitions=3)
        cluster.write_for_test("t", b"new", partition=2)

        async def found() -> bool:
            return await words(store) == {"new": 1}

        await until(found)
        assert now() < 70


async def test_errors_of_the_store_are_not_retried(
    cluster: FakeCluster, store: SqliteStore
) -> None:
    """A retry would fail again, so the error must end the process."""
    cluster.write_for_test("t", b"\xff")
    with pytest.raises(UnicodeDecodeError):
        await make_projector(cluster, store).run()
    assert cluster.consumers[0].state == "stopped"


async def test_what_could_not_be_stored_is_read_again(
    cluster: FakeCluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The offset that is stored does not pass records that are not, however many are in hand."""
    prepare, fails = store.prepare, True

    async def failing_once(records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        nonlocal fails
        write = await prepare(records)
        if not (fails and records[0].position.offset >= 500):
            return write
        fails = False

        async def fail() -> None:
            # Of the errors that the projector retries.
            raise KafkaError

        return fail

    monkeypatch.setattr(store, "prepare", failing_once)
    for _ in range(2000):
        cluster.write_for_test("t", b"a")
    async with running(make_projector(cluster, store)) as projector:
        await projector.wait_fresh(within=10)
        assert await words(store) == {"a": 2000}
    assert not fails


async def test_it_is_complete_only_once_the_last_batch_is_stored(
    cluster: FakeCluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, storing, may_store = store.prepare, asyncio.Event(), asyncio.Event()

    async def waiting(records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        write = await prepare(records)

        async def store_later() -> None:
            storing.set()
            await may_store.wait()
            await write()

        return store_later

    monkeypatch.setattr(store, "prepare", waiting)
    cluster.write_for_test("t", b"a")
    async with running(make_projector(cluster, store)) as projector:
        # The file is opened in a thread, which takes as long as it takes.
        await storing.wait()
        await pause(10)
        before = projector.staleness()
        may_store.set()
        await projector.wait_fresh(within=10)
        assert await words(store) == {"a": 1}
        assert before is None
