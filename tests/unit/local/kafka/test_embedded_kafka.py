"""The real Kafka, and the helpers that other tests use."""

import os
import signal

import pytest

from sluice_local.kafka import EmbeddedKafka
from tests.support.kafka import (
    committed,
    create_topic,
    produce,
    read_all,
    read_count,
    unique_name,
)

pytestmark = pytest.mark.integration


async def test_records_are_read_in_order(kafka: EmbeddedKafka) -> None:
    topic = unique_name("order")
    await create_topic(kafka, topic, partitions=3)
    await produce(kafka, topic, b"a", b"b", key=b"k", headers=[("h", b"1")])
    await produce(kafka, topic, None, key=b"gone", partition=0)

    records = await read_all(kafka, topic)

    assert {(r.key, r.value) for r in records} == {(b"k", b"a"), (b"k", b"b"), (b"gone", None)}
    keyed = [r for r in records if r.key == b"k"]
    assert [(r.value, r.headers) for r in keyed] == [(b"a", (("h", b"1"),)), (b"b", (("h", b"1"),))]


async def test_an_empty_topic_reads_as_empty(kafka: EmbeddedKafka) -> None:
    topic = unique_name("empty")
    await create_topic(kafka, topic)
    assert await read_all(kafka, topic) == []
    assert await committed(kafka, group=unique_name("nobody"), topic=topic) == {}


async def test_a_record_of_two_megabytes_passes(kafka: EmbeddedKafka) -> None:
    topic = unique_name("large")
    await create_topic(kafka, topic, config={"max.message.bytes": str(3 << 20)})
    await produce(kafka, topic, b"x" * (2 << 20))
    [record] = await read_count(kafka, topic, 1)
    assert len(record.value or b"") == 2 << 20


async def test_acknowledged_records_survive_a_crash(own_kafka: EmbeddedKafka) -> None:
    await own_kafka.start()
    await create_topic(own_kafka, "crash")
    await produce(own_kafka, "crash", b"kept")
    own_kafka.kill_for_test()

    await own_kafka.start()

    assert [r.value for r in await read_all(own_kafka, "crash")] == [b"kept"]


def test_stop_ends_the_process(own_kafka: EmbeddedKafka) -> None:
    own_kafka.start_sync()
    process = own_kafka.process
    own_kafka.stop_sync()
    assert process.exited.result() == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
