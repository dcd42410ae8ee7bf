"""A stand-in for a consumer of the dispatchers' group, as far as RequestConsumer uses one.

Records come from a list, and partitions go and come when a test says so.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import ConsumerRebalanceListener, TopicPartition

__all__ = ["FakeGroupConsumer", "Fetched"]

PARTITION = TopicPartition("requests", 0)


class Fetched(NamedTuple):
    """A record as aiokafka returns it, with aiokafka's names."""

    offset: int
    topic: str = PARTITION.topic
    partition: int = PARTITION.partition
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(eq=False)
class FakeGroupConsumer:
    """One member with one partition."""

    log: list[str] = field(default_factory=list)
    """What happened to it, in order."""
    state: str = "new"
    _listener: ConsumerRebalanceListener | None = None
    _fetched: list[Fetched] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _paused: set[TopicPartition] = field(default_factory=set)

    def subscribe(self, _topics: list[str], *, listener: ConsumerRebalanceListener) -> None:
        self._listener = listener

    async def start(self) -> None:
        self.state = "started"
        await self.assign_for_test()

    async def stop(self) -> None:
        self.state = "stopped"

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Fetched]]:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._arrived.wait()
        except TimeoutError:
            return {}
        batch, self._fetched = self._fetched[:max_records], self._fetched[max_records:]
        if not self._fetched:
            self._arrived.clear()
        return {PARTITION: batch}

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def pause(self, *partitions: TopicPartition) -> None:
        if partitions:
            self.log.append("paused")
        self._paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._paused -= set(partitions)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        await asyncio.sleep(0)
        self.log.append(f"committed {offsets[PARTITION]}")

    def highwater(self, _partition: TopicPartition) -> None:
        """Know of no end."""

    @property
    def _subscription(self) -> Any:
        return self

    @property
    def subscription(self) -> Any:
        return self

    # What only tests may do.

    def fetch_for_test(self, *offsets: int) -> None:
        """Let the next poll give these records."""
        self._fetched += [Fetched(offset) for offset in offsets]
        self._arrived.set()

    async def revoke_for_test(self) -> None:
        """Take the partition away: what the coordinator waits for."""
        assert self._listener is not None
        await self._listener.on_partitions_revoked({PARTITION})
        self.log.append("revoked")

    async def assign_for_test(self) -> None:
        """Give the partition back."""
        assert self._listener is not None
        await self._listener.on_partitions_assigned({PARTITION})
