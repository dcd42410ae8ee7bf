"""What the services expect of a `Producer`, whether it writes to Kafka or to memory.

Needs fixtures: `producer`; `topic`, an empty topic of several partitions; and `read`, which returns
the records of a topic, partition by partition.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

import pytest

from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError, RecordRefusedError
from sluice_runtime.kafka.producer import BatchProducer, Producer

Read: TypeAlias = Callable[[str], Awaitable[Sequence[IncomingRecord]]]

HEADERS = (("a", b"1"), ("ü", b"\xff"))
TOO_LARGE = OutgoingRecord(key=b"k", value=b"v" * (4 * 1024 * 1024 + 1))


def within(seconds: float = 30) -> Deadline:
    return Deadline("send", timedelta(seconds=seconds))


class ProducerPortSuite:
    @pytest.mark.parametrize(
        "record",
        [
            OutgoingRecord(key=b"k", value=b"v", headers=(("a", b"1"), ("a", b"\xff"), ("ü", b""))),
            OutgoingRecord(key=b"k", value=None),
            OutgoingRecord(key=None, value=b"v"),
        ],
        ids=["with headers", "tombstone", "without key"],
    )
    async def test_an_acknowledged_record_is_in_the_topic_as_it_was_sent(
        self, producer: Producer, topic: str, read: Read, record: OutgoingRecord
    ) -> None:
        appended = await producer.send(topic, record, deadline=within())
        (found,) = await read(topic)
        assert found.position == appended.position
        assert found.timestamp_ms == appended.timestamp_ms
        assert found.position.topic == topic
        assert (found.key, found.value, found.headers) == (record.key, record.value, record.headers)

    async def test_records_of_one_key_are_in_one_partition_in_the_order_of_their_sends(
        self, producer: Producer, topic: str, read: Read
    ) -> None:
        for number in range(3):
            for key in (b"one", b"two", b"three", b"four"):
                record = OutgoingRecord(key=key, value=b"%d" % number)
                await producer.send(topic, record, deadline=within())
        found = await read(topic)
        for key in (b"one", b"two", b"three", b"four"):
            ours = [each for each in found if each.key == key]
            assert [each.value for each in ours] == [b"0", b"1", b"2"]
            assert len({each.position.partition for each in ours}) == 1
            assert sorted(each.position.offset for each in ours) == [
                each.position.offset for each in ours
            ]

    async def test_offsets_count_from_0_in_each_partition(
        self, producer: Producer, topic: str, read: Read
    ) -> None:
        for key in (b"one", b"two", b"three", b"four", b"five"):
            await producer.send(topic, OutgoingRecord(key=key, value=b""), deadline=within())
        offsets: dict[int, list[int]] = {}
        for each in await read(topic):
            offsets.setdefault(each.position.partition, []).append(each.position.offset)
        assert all(found == list(range(len(found))) for found in offsets.values())

    async def test_a_record_that_is_too_large_is_refused_and_the_next_is_written(
        self, producer: Producer, topic: str, read: Read
    ) -> None:
        with pytest.raises(RecordRefusedError, match="4194306 bytes"):
            await producer.send(topic, TOO_LARGE, deadline=within())
        await producer.send(topic, OutgoingRecord(key=b"k", value=b"next"), deadline=within())
        assert [each.value for each in await read(topic)] == [b"next"]

    async def test_a_send_after_its_deadline_fails_as_unavailable(
        self, producer: Producer, topic: str
    ) -> None:
        with pytest.raises(KafkaUnavailableError, match="not acknowledged in time"):
            await producer.send(
                topic, OutgoingRecord(key=b"k", value=b"late"), deadline=within(seconds=0)
            )


class PartitionedProducerPortSuite(ProducerPortSuite):
    """The same, that the writer may choose among three partitions, and that it may send many."""

    async def test_many_records_are_in_the_topic_as_they_were_sent(
        self, producer: BatchProducer, topic: str, read: Read
    ) -> None:
        records = [
            OutgoingRecord(key=b"k%d" % (number % 50), value=b"%d" % number, headers=HEADERS)
            for number in range(2000)
        ]
        records.append(OutgoingRecord(key=b"gone", value=None))
        records.append(OutgoingRecord(key=None, value=b"v"))
        assert await producer.send_all(topic, records, deadline=within()) == len(records)
        found = await read(topic)
        sent = Counter((each.key, each.value, each.headers) for each in records)
        assert Counter((each.key, each.value, each.headers) for each in found) == sent
        for key in {each.key for each in records if each.key}:
            ours = [each.value for each in found if each.key == key]
            assert ours == [each.value for each in records if each.key == key]

    async def test_many_records_are_in_the_partitions_of_single_ones(
        self, producer: BatchProducer, topic: str, read: Read
    ) -> None:
        records = [OutgoingRecord(key=b"k%d" % number, value=b"") for number in range(20)]
        for each in records:
            await producer.send(topic, each, deadline=within())
        await producer.send_all(topic, records, deadline=within())
        found = Counter((each.key, each.position.partition) for each in await read(topic))
        assert set(found.values()) == {2}

    async def test_of_many_records_one_that_is_too_large_is_left_out(
        self, producer: BatchProducer, topic: str, read: Read
    ) -> None:
        fits = OutgoingRecord(key=b"k", value=b"v" * 100_000)
        assert await producer.send_all(topic, [fits, TOO_LARGE, fits], deadline=within()) == 2
        assert len(await read(topic)) == 2

    async def test_many_records_after_their_deadline_are_not_acknowledged(
        self, producer: BatchProducer, topic: str, read: Read
    ) -> None:
        record = OutgoingRecord(key=b"k", value=b"late")
        assert await producer.send_all(topic, [record], deadline=within(seconds=0)) == 0
        assert await producer.send_all(topic, [record], deadline=within()) == 1
        assert len(await read(topic)) == 1

    async def test_a_record_for_a_partition_is_there_whatever_its_key_is(
        self, producer: Producer, topic: str, read: Read
    ) -> None:
        for number in range(3):
            record = OutgoingRecord(key=b"k", value=b"%d" % number)
            appended = await producer.send(topic, record, deadline=within(), partition=number)
            assert appended.position == Position(topic, number, 0)
        found = {each.position.partition: each.value for each in await read(topic)}
        assert found == {0: b"0", 1: b"1", 2: b"2"}
