"""Where the events of a run begin on its partition."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from sluice_client.kafka_connection import KafkaConnection
from sluice_client.kafka_runs import KafkaRun, place_of
from sluice_contracts.ids import RunKey
from sluice_contracts.topics import TopicNames

STATUS = TopicPartition("sluice.status", 0)


class FakeConsumer:
    """A partition to which an event is appended whenever something is asked."""

    def __init__(self, *, appended_at: list[int]) -> None:
        self.appended_at = appended_at
        self.position: int | None = None

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        assert list(partitions) == [STATUS]

    def seek(self, _: TopicPartition, offset: int) -> None:
        self.position = offset

    async def seek_to_beginning(self, *_: TopicPartition) -> None:
        self.position = 0

    async def seek_to_end(self, *_: TopicPartition) -> None:
        self._append()
        self.position = len(self.appended_at)

    async def end_offsets(self, _: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        end = len(self.appended_at)
        self._append()
        return {STATUS: end}

    async def offsets_for_times(
        self, times: dict[TopicPartition, int]
    ) -> dict[TopicPartition, Any]:
        young = [offset for offset, at in enumerate(self.appended_at) if at >= times[STATUS]]
        self._append()
        return {STATUS: SimpleNamespace(offset=young[0]) if young else None}

    def _append(self) -> None:
        self.appended_at.append(1000)


async def begun(
    consumer: FakeConsumer, *, since_ms: int | None, after: str | None = None
) -> int | None:
    connection = KafkaConnection(topics=TopicNames(), settings={}, timeout=5)
    run = KafkaRun(connection, RunKey("default", "order-1"), since_ms=since_ms)
    await run._begin(consumer, STATUS, after)
    return consumer.position


@pytest.mark.parametrize(
    ("since_ms", "position"), [(None, 0), (0, 0), (250, 2), (900, 3), (2000, 3)]
)
async def test_no_event_of_the_run_is_missed_whatever_is_appended_meanwhile(
    since_ms: int | None, position: int
) -> None:
    consumer = FakeConsumer(appended_at=[100, 200, 300])
    assert await begun(consumer, since_ms=since_ms) == position


async def test_reading_begins_at_the_place_itself() -> None:
    """It says whether there is more to come."""
    consumer = FakeConsumer(appended_at=[100, 200, 300])
    assert await begun(consumer, since_ms=0, after="acme/0:1") == 1


def test_a_place_is_a_partition_and_an_offset() -> None:
    assert place_of("3:4711") == place_of("acme/3:4711") == (3, 4711)
    for text in ("", "3", "3:", "a:1", "0:17,1:4", "A/3:1", "3:-1"):
        with pytest.raises(ValueError, match="as in 3:4711"):
            place_of(text)
