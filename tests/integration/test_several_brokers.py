"""What Sluice promises of Kafka, on a Kafka of three nodes that go and come."""

import asyncio
import contextlib
import functools
import gc
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.topics import TopicNames, topic_table
from sluice_dispatcher.adapters.request_consumer import RequestConsumer
from sluice_gateway import bootstrap
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicWatch, ensure_topics
from sluice_runtime.projection.projection import Projection
from sluice_runtime.projection.projector import Projector
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.integration.test_gateway_kafka import HELLO, gateway, requests_on, until
from tests.support.dispatcher import small_budget
from tests.support.kafka import alter_topic, committed, produce, read_all, topic_names
from tests.support.kafka_cluster import NODES, WAIT_SECONDS, KafkaCluster

pytestmark = [
    pytest.mark.integration,
    # A module of another worker may have the computer's one cluster for that long.
    pytest.mark.timeout(300),
    # aiokafka forgets a connection that is being made when its client is stopped.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SOON = timedelta(milliseconds=50)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect what is forgotten here, where its warnings are ignored, once the loop is closed."""
    yield
    gc.collect()


@pytest.fixture
async def cluster(kafka_cluster: KafkaCluster) -> KafkaCluster:
    await kafka_cluster.heal()
    return kafka_cluster


@pytest.fixture
def names() -> TopicNames:
    return topic_names("several")


@pytest.fixture
def partitions() -> int:
    return 3


def settings(cluster: KafkaCluster, names: TopicNames, partitions: int) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=cluster.bootstrap_servers,
        topics=names,
        partitions=partitions,
        replication_factor=3,
        request_timeout=timedelta(seconds=2),
        session_timeout=timedelta(seconds=6),
    )


@pytest.fixture
async def kafka(cluster: KafkaCluster, names: TopicNames, partitions: int) -> KafkaSettings:
    """The cluster with Sluice's topics, three replicas each."""
    made = settings(cluster, names, partitions)
    deadline = Deadline("make topics", timedelta(seconds=WAIT_SECONDS))
    await ensure_topics(made, client_id="test", deadline=deadline)
    return made


class Counter:
    """Counts, and lets others wait for a count."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Condition()

    async def add(self) -> None:
        async with self._changed:
            self._count += 1
            self._changed.notify_all()

    async def more(self, count: int) -> None:
        """Wait until so many more have been counted."""
        async with self._changed, asyncio.timeout(WAIT_SECONDS):
            enough = self._count + count
            await self._changed.wait_for(lambda: self._count >= enough)


@contextlib.asynccontextmanager
async def running(body: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(body)
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Load:
    """Clients that write as fast as they are acknowledged; each value is sent once."""

    def __init__(self, kafka: KafkaSettings, topic: str, *, clients: int) -> None:
        self._producer = RecordProducer(kafka, client_id="test")
        self._topic = topic
        self._clients = clients
        self.acknowledged: dict[bytes, Position] = {}
        self.count = Counter()
        self.answered = Counter()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._producer.close)
            for client in range(self._clients):
                await stack.enter_async_context(running(self._write(client)))
            yield

    async def _write(self, client: int) -> None:
        sent = 0
        while True:
            sent += 1
            value = f"{client}-{sent}".encode()
            record = OutgoingRecord(key=value, value=value)
            deadline = Deadline("send", timedelta(seconds=2))
            try:
                appended = await self._producer.send(self._topic, record, deadline=deadline)
            except KafkaUnavailableError:
                await self.answered.add()
                continue
            self.acknowledged[value] = appended.position
            await self.answered.add()
            await self.count.add()


@pytest.mark.parametrize("partitions", [1])
async def test_an_acknowledged_record_survives_its_leader(
    cluster: KafkaCluster, kafka: KafkaSettings, names: TopicNames
) -> None:
    # One partition, so that no client waits for a leader that is frozen.
    load = Load(kafka, names.requests, clients=10)
    async with load.running():
        await load.count.more(100)
        leader = await cluster.leader(names.requests)
        followers = [node for node in cluster.answering if node != leader]
        # What the leader takes from now on nobody else has, and it dies with it.
        for node in followers:
            cluster.freeze(node)
        await load.answered.more(20)
        await asyncio.to_thread(cluster.kill, leader)
        for node in followers:
            cluster.thaw(node)
        await cluster.until_led_by_another(names.requests, than=leader)
        await load.count.more(100)
        await cluster.start(leader)
        await load.count.more(100)
    written = await read_all(cluster, names.requests)
    stands: dict[bytes, list[Position]] = {}
    for each in written:
        position = Position(each.topic, each.partition, each.offset)
        stands.setdefault(each.value, []).append(position)
    # Each once, and where it was acknowledged to stand.
    promised = {value: [position] for value, position in load.acknowledged.items()}
    assert {value: stands.get(value) for value in promised} == promised


async def test_one_replica_of_three_is_not_enough_for_a_202(
    cluster: KafkaCluster, names: TopicNames, tmp_path: Path
) -> None:
    short = timedelta(seconds=2)
    async with gateway(cluster, names, tmp_path, replicas=3, send_timeout=short) as running:
        assert (await running.post({"id": "before", **HELLO}))[0] == 202
        leader = await cluster.leader(names.requests)
        followers = [node for node in cluster.answering if node != leader]
        for node in followers:
            await asyncio.to_thread(cluster.kill, node)
        status, problem = await running.post({"id": "order-1", **HELLO})
        assert status == 503
        assert problem["type"] == "urn:sluice:problem:outcome-unknown"

        await cluster.start(*followers)
        await until(lambda: running.post({"id": "order-1", **HELLO}), accepted)
        await until(running.ready, lambda answer: answer[0] == 200)
        found = {each.key.run_id for each in await requests_on(cluster, names)}
        assert found == {"before", "order-1"}


def accepted(answer: tuple[int, dict[str, Any]]) -> bool:
    return answer[0] in (200, 202)


async def test_a_topic_that_is_changed_later_stops_the_door_until_it_is_put_back(
    cluster: KafkaCluster,
    names: TopicNames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bootstrap, "TopicWatch", functools.partial(TopicWatch, every=SOON))
    config = topic_table(names).requests.config()
    numbers = iter(range(10_000))
    async with gateway(cluster, names, tmp_path, replicas=3) as running:

        async def post() -> tuple[int, dict[str, Any]]:
            return await running.post({"id": f"order-{next(numbers)}", **HELLO})

        # As they were made: two of three, and no unclean leader.
        assert (await post())[0] == 202
        for harm in ({"min.insync.replicas": "1"}, {"unclean.leader.election.enable": "true"}):
            await alter_topic(cluster, names.requests, {"min.insync.replicas": "2"} | config | harm)
            problem = await until(post, lambda answer: answer[0] != 202)
            assert problem["type"] == "urn:sluice:problem:unavailable"
            assert "sluice_topic_mismatches 1.0" in await running.metrics()
            await alter_topic(cluster, names.requests, {"min.insync.replicas": "2"} | config)
            await until(post, accepted)


class Worker:
    """Finishes records at once, but for those of one value, which wait."""

    def __init__(self) -> None:
        self.finished: list[Position] = []
        self.go = asyncio.Event()
        self.changed = asyncio.Condition()

    async def handle(self, record: IncomingRecord) -> None:
        if record.value == b"held":
            await self.go.wait()
        async with self.changed:
            self.finished.append(record.position)
            self.changed.notify_all()

    async def until(self, holds: Callable[[set[Position]], bool]) -> None:
        async with self.changed, asyncio.timeout(WAIT_SECONDS):
            await self.changed.wait_for(lambda: holds(set(self.finished)))


async def test_the_consumer_survives_the_loss_of_its_group_coordinator(
    cluster: KafkaCluster, kafka: KafkaSettings, names: TopicNames
) -> None:
    worker, group, topic = Worker(), f"{names.requests}-group", names.requests
    request_consumer = RequestConsumer(
        topics=[topic],
        make_consumer=lambda: make_consumer(kafka, client_id="test", group=group),
        handle=worker.handle,
        budget=small_budget(active=100, size=10_000_000),
        most_uncommitted=100,
        commit_interval=SOON,
        drain_grace=SOON,
        backoff=Backoff(first=SOON, longest=SOON),
    )

    async def until_committed(*offsets: int) -> None:
        async def holds() -> bool:
            found = await committed(cluster, group=group, topic=topic)
            # Whenever one looks, the record that is not finished is not committed.
            assert worker.go.is_set() or found.get(0, 0) <= 3
            return found == dict(enumerate(offsets))

        await cluster.until(holds)

    async def more(*, first: Sequence[bytes]) -> None:
        for partition, values in enumerate((first, [b"x"] * 10, [b"x"] * 10)):
            await produce(cluster, topic, *values, partition=partition)

    await more(first=[b"x"] * 3 + [b"held"] + [b"x"] * 6)
    async with running(request_consumer.run()):
        await until_committed(3, 10, 10)
        coordinator = await cluster.coordinator(group)
        await asyncio.to_thread(cluster.kill, coordinator)
        await more(first=[b"x"] * 10)
        await worker.until(lambda finished: len(finished) == 59)
        await until_committed(3, 20, 20)
        worker.go.set()
        await until_committed(20, 20, 20)
        await cluster.start(coordinator)
    everything = {Position(topic, partition, n) for partition in range(3) for n in range(20)}
    assert set(worker.finished) == everything
    # What was committed did not come again.
    before = [Position(topic, partition, n) for partition in (1, 2) for n in range(10)]
    assert all(worker.finished.count(each) == 1 for each in before)


TABLES = "CREATE TABLE IF NOT EXISTS seen (place TEXT PRIMARY KEY, value BLOB)"


def decode(record: IncomingRecord) -> tuple[str, bytes | None]:
    return str(record.position), record.value


def insert(connection: sqlite3.Connection, rows: Sequence[tuple[str, bytes | None]]) -> None:
    # A plain INSERT: a record projected twice breaks the key.
    connection.executemany("INSERT INTO seen VALUES (?, ?)", rows)


PROJECTION = Projection(
    tables=TABLES, version=1, decode=decode, write=insert, expire=lambda _: False
)


async def test_a_projection_misses_nothing_while_leaders_change_and_never_claims_more_than_it_has(
    cluster: KafkaCluster, kafka: KafkaSettings, names: TopicNames, tmp_path: Path
) -> None:
    topic, loop = names.results, asyncio.get_running_loop()
    load = Load(kafka, topic, clients=2)
    projected: set[bytes] = set()
    checked = Counter()

    async with SqliteStore.open(tmp_path / "projection", PROJECTION) as store:
        projector = Projector(
            name="test",
            topics=[topic],
            store=store,
            make_consumer=lambda: make_consumer(kafka, client_id="test"),
            backoff=Backoff(first=SOON, longest=SOON),
        )

        async def look() -> None:
            rows = await store.read("SELECT value FROM seen WHERE rowid > ?", (len(projected),))
            projected.update(value for (value,) in rows)

        async def check() -> None:
            pending: dict[bytes, float] = {}
            known = 0
            while True:
                for value in list(load.acknowledged)[known:]:
                    pending[value] = loop.time()
                    known += 1
                staleness = projector.staleness()
                held = float("-inf") if staleness is None else loop.time() - staleness
                await look()
                pending = {value: at for value, at in pending.items() if value not in projected}
                assert not [value for value, at in pending.items() if at < held]
                await checked.add()

        async with running(projector.run()), running(check()):
            async with load.running():
                await load.count.more(20)
                await projector.wait_caught_up(as_of=loop.time())
                leader = await cluster.leader(topic)
                cluster.freeze(leader)
                frozen_at = loop.time()
                await cluster.until_led_by_another(topic, than=leader)
                await load.count.more(20)
                await projector.wait_caught_up(as_of=frozen_at + 1)
                await checked.more(1)
                cluster.thaw(leader)
                await cluster.heal()
                leader = await cluster.leader(topic)
                await asyncio.to_thread(cluster.kill, leader)
                await load.count.more(20)
                await cluster.start(leader)
                await load.count.more(20)
            await projector.wait_caught_up(as_of=loop.time())
            await checked.more(1)
        await look()
        assert set(load.acknowledged) <= projected


async def test_snapshots_of_different_moments_restore_what_the_first_one_has(
    cluster: KafkaCluster, kafka: KafkaSettings, names: TopicNames, partitions: int
) -> None:
    """As those of EBS volumes; what was written between them may be restored, without gaps."""

    async def write(*numbers: int) -> None:
        for partition in range(partitions):
            values = (b"%d" % number for number in numbers)
            await produce(kafka, names.requests, *values, partition=partition)

    async def written() -> list[list[bytes]]:
        logs: list[list[bytes]] = [[] for _ in range(partitions)]
        for record in await read_all(kafka, names.requests):
            assert record.offset == len(logs[record.partition])
            logs[record.partition].append(record.value)
        return logs

    await write(*range(100))
    for node in NODES:
        await asyncio.to_thread(cluster.take_snapshot, node)
        await write(*range(100 + 20 * (node - 1), 100 + 20 * node))
    cluster.lose_all()
    await cluster.restore()
    restored = await written()
    for log in restored:
        assert 100 <= len(log) <= 100 + 20 * (len(NODES) - 1)
        assert log == [b"%d" % number for number in range(len(log))]
    # They are brokers like any others.
    await write(-1)
    assert await written() == [[*log, b"-1"] for log in restored]
    assert await cluster.in_sync(names.requests) == set(NODES)
