"""What the gateway expects of `LetterTopics`, on Kafka or in memory.

Needs fixtures: `letter_topics`; `topic`, an empty topic of three partitions; `producer`, which
writes to it; `expire`, which deletes the records of a partition before an offset; and `away`, which
makes Kafka unavailable for reads.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest

from sluice_contracts.dead_letters import LetterDecision, decode_dead_letter
from sluice_contracts.records import OutgoingRecord, Position
from sluice_gateway.ports import LetterGoneError, LettersUnavailableError, LetterTopics
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.producer import Producer

Expire: TypeAlias = Callable[[Position], Awaitable[None]]
Away: TypeAlias = Callable[[], None]

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


async def write(producer: Producer, topic: str, *values: bytes) -> list[Position]:
    """Write records to the second partition."""
    written = []
    for value in values:
        deadline = Deadline("send", timedelta(seconds=30))
        record = OutgoingRecord(key=b"k", value=value, headers=(("a", b"\xff"),))
        sent = await producer.send(topic, record, deadline=deadline, partition=1)
        written.append(sent.position)
    return written


class LetterTopicsPortSuite:
    async def test_each_record_is_read_by_its_position(
        self, letter_topics: LetterTopics, producer: Producer, topic: str
    ) -> None:
        positions = await write(producer, topic, b"a", b"b", b"c")
        for position, value in reversed(list(zip(positions, (b"a", b"b", b"c"), strict=True))):
            record = await letter_topics.read(position)
            assert record.position == position
            assert (record.key, record.value, record.headers) == (b"k", value, (("a", b"\xff"),))

    async def test_a_record_that_is_not_written_yet_is_gone(
        self, letter_topics: LetterTopics, producer: Producer, topic: str
    ) -> None:
        await write(producer, topic, b"a")
        for partition, offset in ((1, 1), (2, 0)):
            with pytest.raises(LetterGoneError):
                await letter_topics.read(Position(topic, partition, offset))

    async def test_a_record_that_was_deleted_is_gone_and_the_next_is_not(
        self, letter_topics: LetterTopics, producer: Producer, topic: str, expire: Expire
    ) -> None:
        first, second = await write(producer, topic, b"a", b"b")
        await expire(first)
        with pytest.raises(LetterGoneError):
            await letter_topics.read(first)
        assert (await letter_topics.read(second)).value == b"b"
        await expire(second)
        with pytest.raises(LetterGoneError):
            await letter_topics.read(second)

    async def test_a_decision_stands_behind_its_letter_on_its_partition(
        self, letter_topics: LetterTopics, producer: Producer, topic: str
    ) -> None:
        first, last = await write(producer, topic, b"a", b"b")
        decision = LetterDecision(letter=str(first), decision="dropped", by="user:ada", at=NOW)
        appended = await letter_topics.append_decision(first, decision)
        assert appended.position == Position(topic, 1, last.offset + 1)
        record = await letter_topics.read(appended.position)
        assert decode_dead_letter(record) == (first, decision)

    async def test_without_kafka_a_read_ends_as_unavailable(
        self, letter_topics: LetterTopics, producer: Producer, topic: str, away: Away
    ) -> None:
        [position] = await write(producer, topic, b"a")
        away()
        with pytest.raises(LettersUnavailableError):
            await letter_topics.read(position)
