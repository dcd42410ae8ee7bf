"""Projection from real Kafka: with restarts, recreated topics and unavailable brokers."""

import asyncio
import contextlib
import gc
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from sluice_contracts.records import IncomingRecord
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.projection.projection import Projection
from sluice_runtime.projection.projector import Projector
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.support.kafka import WAIT_SECONDS, create_topic, produce, unique_name

# aiokafka forgets a connection that is being made when its consumer is stopped; the garbage
# collector closes it, and says so.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::ResourceWarning")]

TABLES = "CREATE TABLE IF NOT EXISTS seen (place TEXT PRIMARY KEY, value BLOB, headers TEXT)"


def decode(record: IncomingRecord) -> tuple[str, bytes | None, str]:
    return str(record.position), record.value, ",".join(name for name, _ in record.headers)


def insert(connection: sqlite3.Connection, rows: Sequence[tuple[str, bytes | None, str]]) -> None:
    # A plain INSERT: a record projected twice breaks the key.
    connection.executemany("INSERT INTO seen VALUES (?, ?, ?)", rows)


PROJECTION = Projection(
    tables=TABLES, version=1, decode=decode, write=insert, expire=lambda _: False
)


@contextlib.asynccontextmanager
async def projecting(
    kafka: EmbeddedKafka, path: Path, *topics: str, **more: Any
) -> AsyncIterator[tuple[Projector, SqliteStore]]:
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, **more)
    async with SqliteStore.open(path, PROJECTION) as store:
        projector = Projector(
            name="test",
            topics=topics,
            store=store,
            make_consumer=lambda: make_consumer(settings, client_id="test"),
        )
        task = asyncio.create_task(projector.run())
        try:
            yield projector, store
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            # Here, where the warning is ignored, not in whichever test comes next.
            gc.collect()


async def values(store: SqliteStore) -> list[bytes]:
    return [value for (value,) in await store.read("SELECT value FROM seen ORDER BY rowid")]


async def until_stale(projector: Projector, seconds: float) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while (projector.staleness() or 0) < seconds:
            await _a_moment()


async def until_values(store: SqliteStore, expected: list[bytes]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while await values(store) != expected:
            await _a_moment()


async def _a_moment() -> None:
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, passed.set)
    await passed.wait()


@pytest.fixture
def topic() -> str:
    return unique_name("projecting")


async def test_projection_continues_after_a_restart(
    kafka: EmbeddedKafka, topic: str, tmp_path: Path
) -> None:
    await create_topic(kafka, topic, partitions=3)
    for partition in range(3):
        await produce(kafka, topic, *(b"%d" % n for n in range(300)), partition=partition)
    path = tmp_path / "view.sqlite"
    async with projecting(kafka, path, topic) as (projector, store):
        await projector.wait_fresh(within=10)
        assert len(await values(store)) == 900
        await produce(kafka, topic, b"live", partition=1)
        await until_last(store, b"live")
    await produce(kafka, topic, b"while away", partition=2)
    async with projecting(kafka, path, topic) as (projector, store):
        await projector.wait_fresh(within=10)
        assert len(await values(store)) == 902
        assert await store.offsets() == {(topic, 0): 300, (topic, 1): 301, (topic, 2): 301}


async def until_last(store: SqliteStore, expected: bytes) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while (await values(store))[-1] != expected:
            await _a_moment()


async def test_any_interruption_projects_each_record_once(
    kafka: EmbeddedKafka, topic: str, tmp_path: Path
) -> None:
    await create_topic(kafka, topic, partitions=2)
    for partition in range(2):
        await produce(kafka, topic, *(b"%d" % n for n in range(500)), partition=partition)
    path = tmp_path / "view.sqlite"
    # Each is cancelled wherever it happens to be once another record has been applied.
    for count in (1, 300, 700):
        async with projecting(kafka, path, topic) as (_, store):
            async with asyncio.timeout(WAIT_SECONDS):
                while len(await values(store)) < count:
                    await _a_moment()
    async with projecting(kafka, path, topic) as (projector, store):
        await projector.wait_fresh(within=10)
        assert len(await values(store)) == 1000


async def test_an_empty_topic_is_complete(kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    await create_topic(kafka, topic)
    async with projecting(kafka, tmp_path / "view.sqlite", topic) as (projector, store):
        assert projector.waiting_for() is not None
        await projector.wait_fresh(within=10)
        assert projector.waiting_for() is None
        assert await values(store) == []


async def test_a_deleted_and_recreated_topic_is_projected_again(
    kafka: EmbeddedKafka, topic: str, tmp_path: Path
) -> None:
    await create_topic(kafka, topic)
    await produce(kafka, topic, b"old 0", b"old 1", b"old 2")
    path = tmp_path / "view.sqlite"
    async with projecting(kafka, path, topic) as (projector, _):
        await projector.wait_fresh(within=10)
    await _delete(kafka, topic)
    await _create_again(kafka, topic)
    await produce(kafka, topic, b"new 0")
    async with projecting(kafka, path, topic) as (projector, store):
        await projector.wait_fresh(within=10)
        assert await values(store) == [b"new 0"]


async def _delete(kafka: EmbeddedKafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()


async def _create_again(kafka: EmbeddedKafka, topic: str) -> None:
    """A deletion is acknowledged before it is complete on all nodes."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await create_topic(kafka, topic)
            except AssertionError:
                await _a_moment()


async def test_staleness_grows_while_the_broker_is_down(
    own_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    await own_kafka.start()
    await create_topic(own_kafka, "t")
    await produce(own_kafka, "t", b"before")
    async with projecting(own_kafka, tmp_path / "view.sqlite", "t") as (projector, store):
        await projector.wait_fresh(within=2)
        await asyncio.to_thread(own_kafka.kill_for_test)
        await until_stale(projector, 4)
        assert projector.waiting_for() is None
        waiter = asyncio.create_task(projector.wait_fresh(within=2))
        await own_kafka.start()
        await produce(own_kafka, "t", b"after")
        await waiter
        await until_values(store, [b"before", b"after"])


async def test_a_broker_may_be_down_longer_than_a_request_timeout(
    own_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    await own_kafka.start()
    await create_topic(own_kafka, "t")
    await produce(own_kafka, "t", b"before")
    more = {"request_timeout": timedelta(seconds=1)}
    async with projecting(own_kafka, tmp_path / "view.sqlite", "t", **more) as (projector, store):
        await projector.wait_fresh(within=2)
        await asyncio.to_thread(own_kafka.kill_for_test)
        # In these, several requests have failed for good.
        await until_stale(projector, 5)
        await own_kafka.start()
        await produce(own_kafka, "t", b"after")
        await until_values(store, [b"before", b"after"])


_RAW = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Raw(str):
    def encode(self, *_, **__):
        return b"\\xff\\xfe"

async def main():
    producer = AIOKafkaProducer(bootstrap_servers=sys.argv[1], acks="all")
    await producer.start()
    await producer.send_and_wait(sys.argv[2], b"odd", headers=[(Raw("x"), b"1")])
    await producer.stop()

asyncio.run(main())
"""


async def test_a_header_name_that_is_not_utf_8_is_read(
    kafka: EmbeddedKafka, topic: str, tmp_path: Path
) -> None:
    """Any client may write one, and aiokafka alone would fail on it again and again."""
    await create_topic(kafka, topic)
    await produce(kafka, topic, b"before")
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _RAW, kafka.bootstrap_servers, topic],
        # Only aiokafka's Python code lets the name through.
        env=os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"},
        check=True,
    )
    await produce(kafka, topic, b"behind", headers=[("plain", b"1")])
    async with projecting(kafka, tmp_path / "view.sqlite", topic) as (projector, store):
        await projector.wait_fresh(within=10)
        rows = await store.read("SELECT value, headers FROM seen ORDER BY rowid")
        assert rows == [(b"before", ""), (b"odd", "\\xff\\xfe"), (b"behind", "plain")]


async def test_the_largest_record_is_read(kafka: EmbeddedKafka, topic: str, tmp_path: Path) -> None:
    await create_topic(kafka, topic, config={"max.message.bytes": "2200000"})
    await produce(kafka, topic, b"v" * 2_100_000, b"behind")
    async with projecting(kafka, tmp_path / "view.sqlite", topic) as (projector, store):
        await projector.wait_fresh(within=10)
        assert [len(value) for value in await values(store)] == [2_100_000, 6]


async def test_uncommitted_records_are_skipped(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    topic = unique_name("projection")
    await create_topic(kafka, topic)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, transactional_id=unique_name("client")
    )
    async with producer, projecting(kafka, tmp_path / "store", topic) as (projector, store):
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed")
        await until_values(store, [b"committed"])
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted")
        await producer.abort_transaction()
        # A mark stands behind a transaction's last record: the end is reached all the same.
        await produce(kafka, topic, b"plain")
        await until_values(store, [b"committed", b"plain"])
        async with producer.transaction():
            await producer.send_and_wait(topic, b"last")
        await until_values(store, [b"committed", b"plain", b"last"])
        await projector.wait_fresh(within=0.5)
