"""A fake Kafka cluster, with fakes of aiokafka's clients as far as the runtime uses them.

It stores records, and can be silent, be down, refuse and delete records on demand.
"""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import DefaultPartitioner

from sluice_contracts.records import Headers
from tests.unit.runtime.clock import pause


class Written(NamedTuple):
    """A record of the log, with aiokafka's attributes."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass
class Log:
    """A partition: its remaining records, and its first and end offsets."""

    records: list[Written] = field(default_factory=list)
    first: int = 0
    end: int = 0


class FakeCluster:
    """Topics with their records, and the faults of the brokers."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, Log] = {}
        self.silent = False
        """Accepts requests and does not answer."""
        self.withholding = False
        """Answers without records."""
        self.down = False
        """Refuses connections."""
        self.fatal: KafkaError | None = None
        """The error of the first producer from now on."""
        self.max_message_bytes = 2**20
        self.producers: list[FakeAIOKafkaProducer] = []
        self.consumers: list[FakeAIOKafkaConsumer] = []
        self._changed = asyncio.Event()
        self._arrivals: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.in_flight = 0
        self._appended = 0

    def create_for_test(self, topic: str, *, partitions: int = 1) -> None:
        for number in range(partitions):
            self.logs.setdefault(TopicPartition(topic, number), Log())

    def recreate_for_test(self, topic: str) -> None:
        for tp in self.logs:
            if tp.topic == topic:
                self.logs[tp] = Log()
        self.wake_for_test()

    def expire_for_test(self, topic: str, *, before: int, partition: int | None = None) -> None:
        """Delete records like retention, from one partition or all."""
        for tp, log in self.logs.items():
            if tp.topic == topic and partition in (None, tp.partition):
                log.first = max(log.first, min(before, log.end))
                log.records = [each for each in log.records if each.offset >= log.first]

    def compact_for_test(self, topic: str, *, offset: int, partition: int = 0) -> None:
        """Delete one record like compaction."""
        log = self.logs[TopicPartition(topic, partition)]
        log.records = [each for each in log.records if each.offset != offset]

    def write_for_test(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        headers: Headers = (),
    ) -> Written:
        log = self.logs[TopicPartition(topic, partition)]
        self._appended += 1
        record = Written(topic, partition, log.end, self._appended, key, value, headers)
        log.records.append(record)
        log.end += 1
        self.wake_for_test()
        return record

    def gap_for_test(self, topic: str, *, partition: int = 0) -> None:
        """Use up an offset without a record, like a transaction's marker."""
        self.logs[TopicPartition(topic, partition)].end += 1
        self.wake_for_test()

    def wake_for_test(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def in_flight_for_test(self, count: int) -> None:
        """Wait until `count` sends wait for an answer."""
        await self._arrivals[count].wait()

    def arrived(self) -> None:
        self.in_flight += 1
        self._arrivals[self.in_flight].set()

    async def changed(self, *, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            return

    def partitions(self, topic: str) -> set[int]:
        found = {tp.partition for tp in self.logs if tp.topic == topic}
        if not found:
            raise UnknownTopicOrPartitionError(topic)
        return found

    def make_producer(self, **arguments: Any) -> "FakeAIOKafkaProducer":
        producer = FakeAIOKafkaProducer(self, arguments)
        self.producers.append(producer)
        return producer

    def make_consumer(self) -> "FakeAIOKafkaConsumer":
        consumer = FakeAIOKafkaConsumer(self)
        self.consumers.append(consumer)
        return consumer


class FakeClient:
    """The connections of a producer."""

    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class FakeBatch:
    """aiokafka's BatchBuilder: a batch of 16 KiB, or of one record."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.is_closed = False
        self._size = 0

    def append(self, *, timestamp: None, **record: Any) -> object | None:
        assert timestamp is None
        size = sum(len(record[each] or b"") for each in ("key", "value"))
        size += sum(len(name) + len(value) for name, value in record["headers"])
        if self.is_closed or (self.records and self._size + size > 16384):
            return None
        self.records.append(record)
        self._size += size
        return record

    def record_count(self) -> int:
        return len(self.records)

    def close(self) -> None:
        self.is_closed = True


@dataclass(eq=False)
class FakeMessageBatch:
    """aiokafka's MessageBatch of a batch that was sent as a whole."""

    future: asyncio.Future[None]


class FakeAIOKafkaProducer:
    """aiokafka's idempotent producer: batches never expire, and fatal errors stay."""

    def __init__(self, cluster: FakeCluster, arguments: dict[str, Any]) -> None:
        self._cluster = cluster
        self.arguments = arguments
        self.state = "new"
        self.stops_only_when: asyncio.Event | None = None
        self.stop_fails_with: Exception | None = None
        self.client = FakeClient()
        self._waiting: list[asyncio.Future[None]] = []
        self._message_accumulator = self
        self._batches: dict[TopicPartition, list[Any]] = {}
        self._pending_batches: set[FakeMessageBatch] = set()
        self._writing: list[asyncio.Task[None]] = []
        self._broken: Exception | None = None

    async def start(self) -> None:
        self.state = "starting"
        if self._cluster.down:
            raise KafkaConnectionError
        while self._cluster.silent:
            await self._cluster.changed(within=3600)
        self.state = "started"

    async def flush(self) -> None:
        """Wait for all batches, also for those whose senders were cancelled."""
        if pending := [each for each in self._waiting if not each.done()]:
            await asyncio.wait(pending)

    async def stop(self) -> None:
        self.state = "stopping"
        await self.flush()
        if self.stops_only_when:
            await self.stops_only_when.wait()
        self.state = "stopped"
        if self.stop_fails_with:
            raise self.stop_fails_with
        await self.client.close()

    def fail_all(self, error: Exception) -> None:
        self._broken = error
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
                # Its sender may have been cancelled.
                future.exception()
        for batch in self._pending_batches:
            if not batch.future.done():
                batch.future.set_exception(error)

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Any = None,
    ) -> Written:
        assert not (key is None and value is None)
        await self._answered(len(value or b""))
        if partition is None:
            every = sorted(self._cluster.partitions(topic))
            partition = DefaultPartitioner()(key, every, every)
        return self._cluster.write_for_test(
            topic, value, key=key, partition=partition, headers=tuple(headers or ())
        )

    async def partitions_for(self, topic: str) -> set[int]:
        return self._cluster.partitions(topic)

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(
        self, batch: FakeBatch, topic: str, *, partition: int
    ) -> asyncio.Future[None]:
        sent = FakeMessageBatch(asyncio.get_running_loop().create_future())
        self._pending_batches.add(sent)

        async def write() -> None:
            # Longer than the end of a sender whose time is over.
            await pause(0.001)
            try:
                await self._answered(sum(len(each["value"] or b"") for each in batch.records))
            except (KafkaError, OSError) as e:
                if not sent.future.done():
                    sent.future.set_exception(e)
                return
            if sent.future.done():
                # The producer was replaced before it had sent the batch.
                return
            for each in batch.records:
                self._cluster.write_for_test(topic, partition=partition, **each)
            sent.future.set_result(None)

        self._writing.append(asyncio.create_task(write()))
        return asyncio.shield(sent.future)

    async def _answered(self, size: int) -> None:
        assert self.state == "started"
        if self._broken:
            raise self._broken
        if self._cluster.fatal and self is self._cluster.producers[0]:
            self.fail_all(self._cluster.fatal)
            raise self._cluster.fatal
        if size > self._cluster.max_message_bytes:
            raise MessageSizeTooLargeError
        # A broker's answer takes at least one round of the event loop.
        await asyncio.sleep(0)
        if self._cluster.silent:
            answer = asyncio.get_running_loop().create_future()
            self._waiting.append(answer)
            self._cluster.arrived()
            await asyncio.shield(answer)


class FakeAIOKafkaConsumer:
    """aiokafka's consumer with partitions assigned by hand."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._client = self
        self._positions: dict[TopicPartition, int] = {}
        self.sought: dict[TopicPartition, int] = {}
        self._polled: dict[TopicPartition, tuple[int, float]] = {}
        self.state = "new"
        self.fails_once_with: Exception | None = None

    async def start(self) -> None:
        if self._cluster.down:
            raise KafkaConnectionError
        self.state = "started"

    async def stop(self) -> None:
        self.state = "stopped"

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        return self._cluster.partitions(topic)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._positions = dict.fromkeys(partitions, 0)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset
        self.sought[tp] = offset

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        ends = {tp: self._cluster.logs[tp].end for tp in partitions}
        # The answer is as old as the request, however late it arrives.
        while self._cluster.silent:
            await self._cluster.changed(within=3600)
        return ends

    async def beginning_offsets(
        self, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, int]:
        return {tp: self._cluster.logs[tp].first for tp in partitions}

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    def highwater(self, tp: TopicPartition) -> int | None:
        return self._polled[tp][0] if tp in self._polled else None

    def last_poll_timestamp(self, tp: TopicPartition) -> int | None:
        if tp not in self._polled:
            return None
        # As long ago on the wall's clock as it is on the loop's, which may be virtual.
        age = asyncio.get_running_loop().time() - self._polled[tp][1]
        return int((time.time() - age) * 1000)

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Written]]:
        if self.fails_once_with:
            error, self.fails_once_with = self.fails_once_with, None
            raise error
        batches = self._fetch(max_records)
        if not batches:
            await self._cluster.changed(within=timeout_ms / 1000)
            batches = self._fetch(max_records)
        return batches

    def _fetch(self, max_records: int) -> dict[TopicPartition, list[Written]]:
        if self._cluster.silent or self._cluster.withholding:
            return {}
        batches = {}
        for tp, position in self._positions.items():
            log = self._cluster.logs[tp]
            self._polled[tp] = (log.end, asyncio.get_running_loop().time())
            batch = [each for each in log.records if each.offset >= position][:max_records]
            # aiokafka's position moves past the end of a batch, even without a record there.
            last = batch[-1].offset + 1 if batch else log.end
            more = any(each.offset >= last for each in log.records)
            self._positions[tp] = last if more else log.end
            if batch:
                batches[tp] = batch
        return batches
