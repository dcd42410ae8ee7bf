"""What a projector of the group does when its partitions are revoked in the middle of a step."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from sluice_gateway.adapters.run_store_postgres.group_projector import GroupProjector
from sluice_gateway.adapters.run_store_postgres.store import Place, PostgresStore, StoredPlace

TOPICS = ("requests", "status")
PARTITIONS = {TopicPartition(topic, 0) for topic in TOPICS}


class FakeConsumer:
    """A consumer that has passed five offsets; with `revokes` it then loses its partitions."""

    def __init__(self, *, revokes: bool) -> None:
        self.asked_twice = asyncio.Event()
        self._revokes = revokes
        self._asked = 0
        self._listener: Any = None

    def subscribe(self, _topics: Iterable[str], *, listener: ConsumerRebalanceListener) -> None:
        self._listener = listener

    async def start(self) -> None:
        await self._listener.on_partitions_assigned(PARTITIONS)

    async def stop(self) -> None:
        """Nothing is open."""

    def assignment(self) -> set[TopicPartition]:
        return PARTITIONS

    async def beginning_offsets(self, asked: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(asked, 0)

    async def end_offsets(self, asked: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(asked, 5)

    def seek(self, _partition: TopicPartition, _offset: int) -> None:
        """All is read from the beginning."""

    async def getmany(self, **_: int) -> dict[TopicPartition, list[Any]]:
        self._asked += 1
        if self._asked == 2:
            self.asked_twice.set()
            await asyncio.Event().wait()
        return {}

    async def position(self, _: TopicPartition) -> int:
        if self._revokes:
            await self._listener.on_partitions_revoked(PARTITIONS)
        return 5


class FakeStore:
    """A store that notes how far each topic was moved."""

    def __init__(self) -> None:
        self.moved: dict[str, int] = {}

    async def begin(self, starts: Mapping[Place, int]) -> dict[Place, StoredPlace]:
        return {at: StoredPlace(next_offset=0, epoch=1, last=None) for at in starts}

    async def decode(self, records: Iterable[Any]) -> list[Any]:
        return [*records]

    async def apply(
        self,
        topic: str,
        _changes: list[Any],
        *,
        moves: Mapping[int, tuple[StoredPlace, StoredPlace]],
    ) -> None:
        self.moved[topic] = moves[0][1].next_offset


@pytest.mark.parametrize(("revokes", "moved"), [(False, dict.fromkeys(TOPICS, 5)), (True, {})])
async def test_offsets_of_partitions_that_were_revoked_are_left_alone(
    *, revokes: bool, moved: dict[str, int]
) -> None:
    consumer, store = FakeConsumer(revokes=revokes), FakeStore()
    projector = GroupProjector(
        cast("PostgresStore", store),
        topics=TOPICS,
        make_consumer=lambda: cast("AIOKafkaConsumer", consumer),
    )
    running = asyncio.create_task(projector.run())
    asked = asyncio.create_task(consumer.asked_twice.wait())
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), running.exception()
    running.cancel()
    await asyncio.wait({running})
    assert store.moved == moved
