"""Two replicas of the gateway on one real PostgreSQL and one real Kafka."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from sluice_contracts.status import Phase
from sluice_contracts.status_codec import encode_status
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.run_store_postgres.opening import DATABASE, opened_postgres_view
from sluice_gateway.adapters.run_view.reopening import ReopeningView
from sluice_gateway.auth_settings import AuthSettings
from sluice_gateway.domain.partitions import LogPartition
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.metrics import Metrics
from sluice_gateway.ports import RunView, ViewUnavailableError
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.settings import GatewaySettings, StoreSettings
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.postgres.settings import PostgresSettings
from tests.integration.test_gateway_kafka import HELLO, Running, gateway
from tests.support.client import OUTCOME_SECONDS
from tests.support.kafka import KafkaServer, create_topic, produce, topic_names, unique_name
from tests.support.postgres import PostgresServer, create_database
from tests.unit.gateway.harness import published

# aiokafka forgets a connection that is being made when its consumer is stopped; the garbage
# collector closes it, and says so.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ALL = RunFilter()


@pytest.fixture
async def store(postgres: PostgresServer) -> StoreSettings:
    """Return the settings of a store in an empty database, for any number of replicas."""
    name = (await create_database(postgres)).partition("@/")[2].partition("?")[0]
    return StoreSettings(
        kind="postgres",
        group=unique_name("gateway"),
        postgres=PostgresSettings(host=str(postgres.folder), database=name, tls="disable"),
    )


@pytest.fixture
async def topics(kafka: KafkaServer) -> TopicNames:
    names = topic_names("postgres")
    for name in (names.requests, names.status):
        await create_topic(kafka, name, partitions=4)
    return names


@asynccontextmanager
async def replica(
    kafka: KafkaServer, topics: TopicNames, store: StoreSettings
) -> AsyncIterator[ReopeningView]:
    """Run the view of one replica."""
    settings = GatewaySettings(
        auth=AuthSettings(mode="none"),
        kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, topics=topics),
        store=store,
    )
    subscriptions = RunSubscriptions()
    view = ReopeningView(
        partial(
            opened_postgres_view,
            settings,
            subscriptions=subscriptions,
            metrics=Metrics(CollectorRegistry()),
            keeps_parameters=lambda _: True,
            most_waiting=10,
        ),
        subscriptions=subscriptions,
        start_patience=timedelta(minutes=1),
        failed=lambda: None,
        backoff=Backoff(longest=timedelta(milliseconds=200)),
        kept_in=DATABASE,
    )
    running = asyncio.create_task(view.run())
    try:
        yield view
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.wait({running})


async def publish(kafka: KafkaServer, topics: TopicNames, *, events: int, runs: int) -> None:
    """Publish events of some runs, each once."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=5)
    await producer.start()
    try:
        for number in range(events):
            event = published(number + 1, run_id=f"run-{number % runs}")
            record = encode_status(event, source="/test")
            await producer.send(
                topics.status, record.value, key=record.key, headers=list(record.headers)
            )
        await producer.flush()
    finally:
        await producer.stop()


async def follow(
    view: RunView, seen: list[tuple[LogPartition, int]], *, after: StreamPlace, most: int
) -> StreamPlace:
    """Read the stream of all events until `most` have come; return where the last one leaves it."""
    place = after
    with view.subscribe_all() as subscription:
        while True:
            subscription.looked()
            page = await view.all_events(ALL, after=place, limit=50, max_bytes=10**6)
            for event in page.events[:most]:
                seen.append((event.partition, event.offset))
                # What a client has is the text of an event's id.
                after = StreamPlace.parse(str(event.place))
            most -= len(page.events)
            if most <= 0:
                return after
            place = page.place
            if not page.events:
                # No event is announced by anything but the database.
                assert await subscription.wait(within=30), "Nothing is announced."


async def until_open(view: RunView) -> StreamPlace:
    # Members of the group come and go, and each rebalance takes seconds on a busy machine.
    async with asyncio.timeout(OUTCOME_SECONDS):
        while True:
            with contextlib.suppress(ViewUnavailableError):
                if await view.catch_up() is None:
                    return await view.stream_end()
            await asyncio.sleep(0)


@pytest.mark.timeout(400)
async def test_a_stream_cut_100_times_resumes_on_the_other_replica(
    kafka: KafkaServer, topics: TopicNames, store: StoreSettings
) -> None:
    chance = random.Random(19)  # noqa: S311 - it has to repeat
    seen: list[tuple[LogPartition, int]] = []
    events = 10_000
    async with replica(kafka, topics, store) as one, replica(kafka, topics, store) as other:
        place = await until_open(one)
        await until_open(other)
        writing = asyncio.create_task(publish(kafka, topics, events=events, runs=300))
        for cut in range(100):
            view = (one, other)[cut % 2]
            place = await follow(view, seen, after=place, most=chance.randint(1, 150))
        await writing
        await follow(one, seen, after=place, most=events - len(seen))
        end = await other.stream_end()
        page = await other.all_events(ALL, after=end, limit=10, max_bytes=10**6)
    assert page.events == ()
    assert len(seen) == len(set(seen)) == events
    of_partition: defaultdict[LogPartition, list[int]] = defaultdict(list)
    for partition, offset in seen:
        of_partition[partition].append(offset)
    assert len(of_partition) == 4
    for partition, offsets in of_partition.items():
        assert offsets == sorted(offsets), partition


async def test_replicas_come_and_go_while_events_are_projected(
    kafka: KafkaServer, topics: TopicNames, store: StoreSettings
) -> None:
    async with replica(kafka, topics, store) as steady:
        await until_open(steady)
        writing = asyncio.create_task(publish(kafka, topics, events=3000, runs=100))
        seen: list[tuple[LogPartition, int]] = []
        place = await follow(steady, seen, after=StreamPlace(), most=100)
        for _ in range(3):
            # Each one takes partitions over, and gives them back.
            async with replica(kafka, topics, store) as coming:
                await until_open(coming)
                place = await follow(coming, seen, after=place, most=300)
        await writing
        await follow(steady, seen, after=place, most=3000 - len(seen))
        counts = await steady.count(ALL)
    assert len(seen) == len(set(seen)) == 3000
    assert counts == {Phase.RUNNING: 100}


async def test_a_database_that_goes_away_comes_back(kafka: KafkaServer, topics: TopicNames) -> None:
    server = PostgresServer()
    try:
        server.start()
        name = (await create_database(server)).partition("@/")[2].partition("?")[0]
        store = StoreSettings(
            kind="postgres",
            group=unique_name("gateway"),
            postgres=PostgresSettings(host=str(server.folder), database=name, tls="disable"),
        )
        async with replica(kafka, topics, store) as view:
            await until_open(view)
            await publish(kafka, topics, events=50, runs=10)
            seen: list[tuple[LogPartition, int]] = []
            place = await follow(view, seen, after=StreamPlace(), most=50)
            await asyncio.to_thread(server.kill)
            await publish(kafka, topics, events=60, runs=10)
            with pytest.raises(ViewUnavailableError):
                await view.count(ALL)
            await asyncio.to_thread(server.start)
            await until_open(view)
            # Ten of them say something new.
            await follow(view, seen, after=place, most=10)
            assert len(seen) == len(set(seen)) == 60
    finally:
        server.remove()


async def test_a_run_is_known_to_both_replicas_at_once(
    kafka: KafkaServer, store: StoreSettings, tmp_path: Path
) -> None:
    topics = topic_names("postgres")
    async with (
        gateway(kafka, topics, tmp_path / "one", store=store) as one,
        gateway(kafka, topics, tmp_path / "other", store=store) as other,
    ):
        status, accepted = await one.post({**HELLO, "id": "order-1", "labels": {"team": "a"}})
        assert status == 202, accepted
        status, state = await other.get("/v1/runs/order-1")
        assert (status, state["phase"]) == (200, "Accepted")
        record = encode_status(published(1, Phase.SUCCEEDED), source="/test")
        events = await other.session.get(f"{other.url}/v1/runs/order-1/events")
        async with events:
            await produce(
                kafka, topics.status, record.value, key=record.key, headers=record.headers
            )
            assert b"sluice.run.succeeded" in await events.read()
        status, state = await one.get("/v1/runs/order-1")
        assert (status, state["phase"]) == (200, "Succeeded")
        status, problem = await one.get("/v1/runs/unknown")
        assert (status, problem["status"]) == (404, 404)


async def test_the_stream_of_all_runs_is_one_on_both_replicas(
    kafka: KafkaServer, store: StoreSettings, tmp_path: Path
) -> None:
    topics = topic_names("postgres")
    async with (
        gateway(kafka, topics, tmp_path / "one", store=store) as one,
        gateway(kafka, topics, tmp_path / "other", store=store) as other,
    ):
        for each in (one, other):
            assert (await each.get("/v1/runs/unknown"))[0] == 404
        database = await asyncpg.connect(
            host=store.postgres.host, user="sluice", database=store.postgres.database
        )
        try:
            partitions = await database.fetch(
                "SELECT partition FROM projected WHERE topic = $1", topics.status
            )
            place = ",".join(f"{each}:0" for each in sorted(number for (number,) in partitions))
            await publish(kafka, topics, events=200, runs=20)
            seen: list[str] = []
            for cut in range(20):
                texts, place = await stream((one, other)[cut % 2], after=place, most=10)
                seen += texts
            assert len(seen) == len(set(seen)) == 200
            # As if these events were too old by now.
            await database.execute(
                "UPDATE projected SET first_offset = next_offset WHERE topic = $1", topics.status
            )
        finally:
            await database.close()
        # A place where nobody has read yet: pages that were read are still in memory.
        begin = ",".join(f"{number}:{int(number == 0)}" for (number,) in sorted(partitions))
        for each in (one, other):
            response = await each.session.get(
                f"{each.url}/v1/events", headers={"Last-Event-ID": begin}
            )
            async with response:
                assert response.status == 410
                assert "no longer kept" in (await response.json(content_type=None))["detail"]


async def stream(running: Running, *, after: str, most: int) -> tuple[list[str], str]:
    """Read so many events of all runs; return their data, and the id of the last one."""
    data: list[str] = []
    response = await running.session.get(
        f"{running.url}/v1/events", headers={"Last-Event-ID": after, "Accept": "text/event-stream"}
    )
    async with response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                after = value
            elif name == "data":
                data.append(value)
                if len(data) == most:
                    response.close()
                    return data, after
    raise AssertionError("The stream ended.")
