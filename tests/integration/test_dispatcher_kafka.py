"""The dispatcher's adapters on real Kafka: the consumer, the ledger and the publisher."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position, header
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent
from sluice_contracts.topic_sets import TopicSets
from sluice_contracts.topics import TopicNames
from sluice_dispatcher.adapters.ledger import SqliteLedger, open_ledger_store
from sluice_dispatcher.adapters.outcome_publisher import KafkaOutcomePublisher
from sluice_dispatcher.adapters.request_consumer import RequestConsumer
from sluice_dispatcher.services.in_flight_budget import InFlightBudget
from sluice_local.kafka import EmbeddedKafka
from sluice_runtime.backoff import Backoff
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.projection import projector as projector_module
from sluice_runtime.projection.projector import Projector
from tests.support.dispatcher import small_budget
from tests.support.kafka import (
    committed,
    create_topic,
    produce,
    read_all,
    topic_names,
    unique_name,
)

pytestmark = pytest.mark.integration

SOON = timedelta(milliseconds=50)


class Worker:
    """Handles records by noting them; they finish once `go` is set."""

    def __init__(self) -> None:
        self.seen: list[Position] = []
        self.go = asyncio.Event()
        self.go.set()
        self._changed = asyncio.Condition()

    async def handle(self, record: IncomingRecord) -> None:
        async with self._changed:
            self.seen.append(record.position)
            self._changed.notify_all()
        await self.go.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._changed, asyncio.timeout(30):
            await self._changed.wait_for(condition)


def settings(kafka: EmbeddedKafka, *, instance: str | None = None) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        session_timeout=timedelta(seconds=6),
        replication_factor=1,
        instance_id=instance,
    )


def make_request_consumer(
    kafka: EmbeddedKafka,
    topic: str,
    handle: Callable[[IncomingRecord], Awaitable[object]],
    *,
    budget: InFlightBudget | None = None,
    most_uncommitted: int = 100,
    grace: timedelta = SOON,
    instance: str | None = None,
) -> RequestConsumer:
    room = budget or small_budget(active=50, size=10_000_000)

    async def begin(record: IncomingRecord) -> None:
        room.mark_active()
        await handle(record)

    return RequestConsumer(
        topics=[topic],
        make_consumer=lambda: make_consumer(
            settings(kafka, instance=instance), client_id="test", group=f"{topic}-group"
        ),
        handle=begin,
        budget=room,
        most_uncommitted=most_uncommitted,
        commit_interval=SOON,
        drain_grace=grace,
        backoff=Backoff(first=SOON, longest=SOON),
    )


@contextlib.asynccontextmanager
async def running(request_consumer: RequestConsumer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(request_consumer.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_committed(kafka: EmbeddedKafka, topic: str, *, total: int) -> None:
    async with asyncio.timeout(30):
        while True:
            offsets = await committed(kafka, group=f"{topic}-group", topic=topic)
            if sum(offsets.values()) >= total:
                return


async def test_all_records_are_handled_and_committed(kafka: EmbeddedKafka) -> None:
    topic, worker = unique_name("request_consumer"), Worker()
    await create_topic(kafka, topic, partitions=3)
    for number in range(30):
        await produce(kafka, topic, b"x", key=str(number).encode())
    request_consumer = make_request_consumer(kafka, topic, worker.handle)
    assert request_consumer.waiting_for() is not None
    async with running(request_consumer):
        await worker.until(lambda: len(worker.seen) == 30)
        await until_committed(kafka, topic, total=30)
        assert request_consumer.waiting_for() is None
        assert request_consumer.in_flight == 0
        assert request_consumer.lag == 0
    assert len(set(worker.seen)) == 30


async def test_unfinished_records_are_not_committed_and_redelivered(kafka: EmbeddedKafka) -> None:
    topic = unique_name("request_consumer")
    await create_topic(kafka, topic)
    await produce(kafka, topic, *[b"x"] * 10)
    first = Worker()
    first.go.clear()
    async with running(make_request_consumer(kafka, topic, first.handle)):
        await first.until(lambda: len(first.seen) == 10)
    assert await committed(kafka, group=f"{topic}-group", topic=topic) == {}
    second = Worker()
    async with running(make_request_consumer(kafka, topic, second.handle)):
        await second.until(lambda: len(second.seen) == 10)
    assert second.seen == first.seen


async def test_stopping_finishes_and_commits_the_records_in_flight(kafka: EmbeddedKafka) -> None:
    topic, worker = unique_name("request_consumer"), Worker()
    await create_topic(kafka, topic)
    await produce(kafka, topic, *[b"x"] * 10)
    worker.go.clear()
    async with running(
        make_request_consumer(kafka, topic, worker.handle, grace=timedelta(seconds=20))
    ) as task:
        await worker.until(lambda: len(worker.seen) == 10)
        task.cancel()
        worker.go.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert await committed(kafka, group=f"{topic}-group", topic=topic) == {0: 10}


async def test_a_full_consumer_stops_reading_until_there_is_room(
    kafka: EmbeddedKafka,
) -> None:
    topic, worker = unique_name("request_consumer"), Worker()
    await create_topic(kafka, topic)
    await produce(kafka, topic, *[b"x"] * 40)
    worker.go.clear()
    budget = small_budget(active=5, size=10_000_000)
    request_consumer = make_request_consumer(kafka, topic, worker.handle, budget=budget)
    async with running(request_consumer):
        await worker.until(lambda: len(worker.seen) == 5)
        assert request_consumer.in_flight == 5
        worker.go.set()
        await worker.until(lambda: len(worker.seen) == 40)
        await until_committed(kafka, topic, total=40)
    assert len(set(worker.seen)) == 40


async def test_two_members_share_the_work_and_take_over_from_each_other(
    kafka: EmbeddedKafka,
) -> None:
    topic = unique_name("request_consumer")
    await create_topic(kafka, topic, partitions=4)
    one, two = Worker(), Worker()
    async with running(make_request_consumer(kafka, topic, one.handle)):
        await produce(kafka, topic, b"x", partition=0)
        await one.until(lambda: len(one.seen) == 1)
        async with running(make_request_consumer(kafka, topic, two.handle)):
            # Write to all partitions until the second member has one.
            while not two.seen:
                for partition in range(4):
                    await produce(kafka, topic, b"x", partition=partition)
        before = len(one.seen)
        for partition in range(4):
            await produce(kafka, topic, b"last", partition=partition)
        ends = {record.partition: record.offset for record in await read_all(kafka, topic)}
        await one.until(lambda: len(one.seen) >= before + 4)
        await until_committed(kafka, topic, total=sum(end + 1 for end in ends.values()))
    handled = {*one.seen, *two.seen}
    assert len(handled) == sum(end + 1 for end in ends.values())


async def test_a_static_member_resumes_at_once(kafka: EmbeddedKafka) -> None:
    topic, first, second = unique_name("request_consumer"), Worker(), Worker()
    await create_topic(kafka, topic)
    await produce(kafka, topic, b"x")
    async with running(make_request_consumer(kafka, topic, first.handle, instance="dispatcher-0")):
        await first.until(lambda: len(first.seen) == 1)
        await until_committed(kafka, topic, total=1)
    await produce(kafka, topic, b"y")
    async with running(make_request_consumer(kafka, topic, second.handle, instance="dispatcher-0")):
        await second.until(lambda: len(second.seen) == 1)
    assert second.seen == [Position(topic, 0, 1)]


async def test_reading_resumes_when_a_broker_restarts(own_kafka: EmbeddedKafka) -> None:
    await own_kafka.start()
    topic, worker = unique_name("request_consumer"), Worker()
    await create_topic(own_kafka, topic)
    async with running(make_request_consumer(own_kafka, topic, worker.handle)):
        await produce(own_kafka, topic, b"before")
        await worker.until(lambda: len(worker.seen) == 1)
        own_kafka.kill_for_test()
        await own_kafka.start()
        await produce(own_kafka, topic, b"after")
        await worker.until(lambda: Position(topic, 0, 1) in worker.seen)
        await until_committed(own_kafka, topic, total=2)


def published(run_id: str, *, phase: Phase = Phase.REJECTED, content: str = "f") -> PublishedEvent:
    key, now = RunKey("default", run_id), datetime.now(UTC)
    return PublishedEvent(
        event=StatusEvent(
            event_id=f"event of {run_id}",
            run_id=run_id,
            tenant="default",
            workflow="hello",
            workflow_name=workflow_name(key),
            phase=phase,
            terminal=phase.terminal,
            observed_at=now,
            sequence=0,
        ),
        fingerprint=content,
        traceparent=None,
    )


@contextlib.asynccontextmanager
async def ledger_of(
    kafka: EmbeddedKafka, topics: TopicNames, file: Path
) -> AsyncIterator[tuple[SqliteLedger, Projector]]:
    async with open_ledger_store(file) as store:
        projector = Projector(
            name="ledger",
            topics=[topics.results],
            store=store,
            make_consumer=lambda: make_consumer(settings(kafka), client_id="test"),
        )
        task = asyncio.create_task(projector.run())
        try:
            yield SqliteLedger(store, projector, freshness=timedelta(seconds=5)), projector
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_the_ledger_knows_outcomes_also_after_its_file_is_lost(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("ledger")
    for topic in (topics.status, topics.results):
        await create_topic(kafka, topic, partitions=3)
    producer = RecordProducer(settings(kafka), client_id="test")
    publisher = KafkaOutcomePublisher(
        producer, topics=TopicSets(topics), timeout=timedelta(seconds=10)
    )
    await produce(kafka, topics.results, b"foreign")
    async with ledger_of(kafka, topics, tmp_path / "ledger.sqlite") as (ledger, _):
        assert await ledger.get(RunKey("default", "order-1")) is None
        await publisher.publish_outcome(published("order-1"))
        async with asyncio.timeout(30):
            while (found := await ledger.get(RunKey("default", "order-1"))) is None:
                pass
        assert (found.fingerprint, found.phase) == ("f", Phase.REJECTED)
        noted = published("order-2")
        await ledger.record(noted)
        assert (await ledger.get(noted.event.key)) is not None
    (tmp_path / "ledger.sqlite").unlink()
    async with ledger_of(kafka, topics, tmp_path / "ledger.sqlite") as (ledger, _):
        assert await ledger.get(RunKey("default", "order-1")) == found
        assert await ledger.get(noted.event.key) is None
    await producer.close()


async def test_the_ledger_keeps_the_first_content_and_the_last_phase(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    topics = topic_names("ledger")
    await create_topic(kafka, topics.results)
    async with ledger_of(kafka, topics, tmp_path / "ledger.sqlite") as (ledger, _):
        await ledger.record(published("order-1", phase=Phase.FAILED, content="first"))
        await ledger.record(published("order-1", phase=Phase.SUCCEEDED, content="second"))
        found = await ledger.get(RunKey("default", "order-1"))
        assert found is not None
        assert (found.fingerprint, found.phase) == ("first", Phase.SUCCEEDED)


async def test_the_ledger_forgets_outcomes_that_the_topic_has_dropped(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "_TOPIC_CHECK_S", 0.1)
    topics = topic_names("ledger")
    for topic in (topics.status, topics.results):
        await create_topic(kafka, topic)
    producer = RecordProducer(settings(kafka), client_id="test")
    publisher = KafkaOutcomePublisher(
        producer, topics=TopicSets(topics), timeout=timedelta(seconds=10)
    )
    for run_id in ("order-0", "order-1", "order-2"):
        await publisher.publish_outcome(published(run_id))
    async with ledger_of(kafka, topics, tmp_path / "ledger.sqlite") as (ledger, _):

        async def known(run_id: str) -> bool:
            return await ledger.get(RunKey("default", run_id)) is not None

        assert await known("order-0")
        await ledger.record(published("noted"))
        await delete_records(kafka, topics.results, before=2)
        async with asyncio.timeout(30):
            while await known("order-0"):
                pass
        found = [await known(run_id) for run_id in ("order-1", "order-2", "noted")]
        assert found == [False, True, True]
    await producer.close()


async def delete_records(kafka: EmbeddedKafka, topic: str, *, before: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before)})
    finally:
        await admin.close()


async def test_outcomes_refusals_and_dead_letters_go_to_their_topics(kafka: EmbeddedKafka) -> None:
    topics = topic_names("publisher")
    for topic in (topics.status, topics.results, topics.dlq):
        await create_topic(kafka, topic)
    producer = RecordProducer(settings(kafka), client_id="test")
    publisher = KafkaOutcomePublisher(
        producer, topics=TopicSets(topics), timeout=timedelta(seconds=10)
    )
    empty = IncomingRecord(
        position=Position(topics.requests, 0, 7),
        timestamp_ms=5,
        key=None,
        value=None,
        headers=(("a", b"b"),),
    )
    why = problem(ProblemType.EMPTY_RECORD, "The record has no value.")
    await publisher.publish_outcome(published("order-1"))
    await publisher.publish_refusal(
        RefusalNotice(
            event_id="e",
            run_id="order-1",
            tenant="default",
            request="t/0@1",
            problem=why,
            observed_at=datetime.now(UTC),
        ),
        refused=empty,
        traceparent=None,
    )
    await publisher.publish_dead_letter(empty, why, key=None)
    [rejected, refused] = await read_all(kafka, topics.status)
    assert rejected.key == refused.key == b"default/order-1"
    kinds = [header(tuple(record.headers), "ce_type") for record in (rejected, refused)]
    assert kinds == ["sluice.run.rejected", "sluice.request.refused"]
    [result] = await read_all(kafka, topics.results)
    assert result.value == rejected.value
    [letter] = await read_all(kafka, topics.dlq)
    assert dict(letter.headers)["a"] == b"b"
    assert dict(letter.headers)["sluice_offset"] == b"7"
    await producer.close()
