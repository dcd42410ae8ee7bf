"""What a projector stores: rows and offsets in one transaction, fenced by the offsets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord
from sluice_gateway.adapters.run_store_postgres.announcements import Announcement, key_hash
from sluice_gateway.adapters.run_store_postgres.partition_numbers import PartitionNumbers
from sluice_gateway.adapters.run_store_postgres.request_rows import write_requests
from sluice_gateway.adapters.run_store_postgres.status_rows import write_status
from sluice_gateway.adapters.run_store_postgres.types import Connection, Pool
from sluice_gateway.domain.models import AcceptedRun
from sluice_gateway.domain.run_changes import (
    KeepsParameters,
    RequestChange,
    RunChange,
    change_of,
)
from sluice_runtime.projection.last_records import LastRecord

__all__ = ["FencedError", "Place", "PostgresStore", "StoredPlace", "read_offsets"]

Place = tuple[str, int]
"""A topic and the number of a partition."""

C = TypeVar("C", bound=RunChange)

_PAUSE_AFTER_BYTES: Final = 64 * 1024

_BEGIN: Final = """
INSERT INTO projected (topic, partition, next_offset, first_offset)
SELECT $1, given.partition, given.start, given.start
FROM unnest($2::integer[], $3::bigint[]) AS given (partition, start) ORDER BY given.partition
ON CONFLICT (topic, partition) DO UPDATE SET
    next_offset = excluded.next_offset, first_offset = excluded.first_offset
WHERE projected.next_offset < excluded.next_offset
"""

_PLACES: Final = """
SELECT partition, next_offset, epoch, last_offset, last_ms
FROM projected JOIN topics USING (topic) WHERE topic = $1 AND partition = ANY ($2::integer[])
"""

# Waits for another one that moves the same partition, and then sees what that one has committed.
_LOCK: Final = """
SELECT count(*) FROM (
    SELECT FROM projected JOIN topics USING (topic)
    JOIN unnest($2::integer[], $3::bigint[]) AS expected (partition, next_offset)
        USING (partition, next_offset)
    WHERE topic = $1 AND epoch = $4
    ORDER BY partition FOR NO KEY UPDATE OF projected
) AS locked
"""

_MOVE: Final = """
UPDATE projected SET next_offset = moved.next_offset,
    last_offset = COALESCE(moved.last_offset, projected.last_offset),
    last_ms = COALESCE(moved.last_ms, projected.last_ms)
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS moved (partition, next_offset, last_offset, last_ms)
WHERE projected.topic = $1 AND projected.partition = moved.partition
"""


class FencedError(Exception):
    """Somebody else has projected these partitions since their offsets were read."""


@dataclass(frozen=True, kw_only=True)
class StoredPlace:
    """How far a partition is projected; `last` is the record that was projected last."""

    next_offset: int
    epoch: int
    last: LastRecord | None


class PostgresStore:
    """The tables, as projectors and gateways write them.

    `projected` is called with the number of status records of every transaction.

    Every call raises asyncpg.PostgresError, asyncpg.InterfaceError or OSError if the database
    cannot be used.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        origins: RecordOrigins,
        partitions: PartitionNumbers,
        keeps_parameters: KeepsParameters,
        projected: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._projected = projected
        self._pool = pool
        self._origins = origins
        self._topics = origins.topics
        self._partitions = partitions
        self._keeps_parameters = keeps_parameters

    async def begin(self, starts: Mapping[Place, int]) -> dict[Place, StoredPlace]:
        """Return how far these partitions are projected.

        Nothing can be projected before `starts`, the offsets of the oldest records on Kafka: a
        partition that is behind loses what lies between, and one that is new begins there.
        """
        places: dict[Place, StoredPlace] = {}
        async with self._transaction() as connection:
            for topic, partitions in _by_topic(starts):
                await connection.execute(
                    "INSERT INTO topics (topic) VALUES ($1) ON CONFLICT DO NOTHING", topic
                )
                begins = [starts[topic, number] for number in partitions]
                await connection.execute(_BEGIN, topic, partitions, begins)
                for number, offset, epoch, last, last_ms in await connection.fetch(
                    _PLACES, topic, partitions
                ):
                    places[topic, number] = StoredPlace(
                        next_offset=offset,
                        epoch=epoch,
                        last=None if last is None else LastRecord(last, last_ms),
                    )
        return places

    async def apply(
        self,
        topic: str,
        changes: Sequence[RunChange],
        *,
        moves: Mapping[int, tuple[StoredPlace, StoredPlace]],
    ) -> None:
        """Store what records of a topic say, and move its partitions, or do nothing at all.

        `moves` has of each partition the place where it is known to be, and the next one.

        Raises:
            FencedError: a partition is not there.
        """
        epoch = next(iter(moves.values()))[0].epoch
        moved = {number: moves[number][1] for number in sorted(moves)}
        async with self._transaction() as connection:
            await self._lock(connection, topic, {number: moves[number][0] for number in moved})
            if topic in self._topics.requests:
                requests = [each for each in changes if isinstance(each, RequestChange)]
                await write_requests(connection, requests, epoch=epoch)
            else:
                status = [each for each in changes if not isinstance(each, RequestChange)]
                await write_status(connection, status, epoch=epoch)
            await connection.execute(
                _MOVE,
                topic,
                list(moved),
                [each.next_offset for each in moved.values()],
                [each.last.offset if each.last else None for each in moved.values()],
                [each.last.timestamp_ms if each.last else None for each in moved.values()],
            )
            await Announcement(
                topic=topic,
                offsets={number: each.next_offset for number, each in moved.items()},
                hashes=frozenset(key_hash(str(each.key)) for each in changes),
            ).send(connection)
        if topic in self._topics.status:
            self._projected(len(changes))

    def request_topic(self, tenant: str) -> str:
        """Return the topic of a tenant's requests."""
        return self._topics.of_tenant(tenant).topics.requests

    def change_of_accepted(self, run: AcceptedRun) -> RequestChange:
        """Return the change that the record of an accepted run will be."""
        return RequestChange.of_accepted(
            run, topics=self._topics, keeps_parameters=self._keeps_parameters
        )

    async def note_all(self, changes: Sequence[RequestChange]) -> None:
        """Note requests of our own before they are projected."""
        by_topic: dict[str, list[RequestChange]] = {}
        for change in changes:
            numbered = self._numbered(change)
            by_topic.setdefault(self.request_topic(change.key.tenant), []).append(numbered)
        async with self._pool.acquire() as connection:
            for topic, requests in by_topic.items():
                epoch = await connection.fetchval(
                    "SELECT epoch FROM topics WHERE topic = $1", topic
                )
                await write_requests(connection, requests, epoch=epoch or 0)

    async def forget(self, topic: str, *, epoch: int) -> None:
        """Begin the topic again: it is not the one whose `epoch` this is.

        What was projected of the old one stays, as history; its offsets mean nothing any more.
        """
        async with self._transaction() as connection:
            replaced = await connection.fetchval(
                "UPDATE topics SET epoch = epoch + 1 WHERE topic = $1 AND epoch = $2 RETURNING 1",
                topic,
                epoch,
            )
            if replaced:
                await connection.execute("DELETE FROM projected WHERE topic = $1", topic)

    async def offsets(self) -> dict[Place, int]:
        """Return the next offset to project of every partition that was ever projected."""
        async with self._pool.acquire() as connection:
            return await read_offsets(connection)

    async def decode(self, records: Sequence[IncomingRecord]) -> list[RunChange]:
        """Return what the records say of runs."""
        changes = []
        since_pause = 0
        for record in records:
            change = change_of(
                record, origins=self._origins, keeps_parameters=self._keeps_parameters
            )
            if change is not None:
                changes.append(self._numbered(change))
            since_pause += record.memory
            if since_pause >= _PAUSE_AFTER_BYTES:
                # Requests are answered on the same event loop.
                since_pause = 0
                await asyncio.sleep(0)
        return changes

    def _numbered(self, change: C) -> C:
        """Return the change with the number that its partition has in the tables."""
        if isinstance(change.partition, int):
            return change
        number = self._partitions.number_of(change.partition)
        if number is None:
            raise AssertionError("Only topics are projected whose doors have numbers.")
        return cast("C", change._replace(partition=number))

    async def _lock(
        self,
        connection: Connection,
        topic: str,
        expected: Mapping[int, StoredPlace],
    ) -> None:
        offsets = [each.next_offset for each in expected.values()]
        epoch = next(iter(expected.values())).epoch
        locked = await connection.fetchval(_LOCK, topic, list(expected), offsets, epoch)
        if locked != len(expected):
            raise FencedError(f"{topic}: partitions have another projector.")

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection


async def read_offsets(connection: Connection) -> dict[Place, int]:
    """Return the next offset to project of every partition that was ever projected."""
    rows = await connection.fetch("SELECT topic, partition, next_offset FROM projected")
    return {(topic, number): offset for topic, number, offset in rows}


def _by_topic(places: Collection[Place]) -> list[tuple[str, list[int]]]:
    topics = sorted({topic for topic, _ in places})
    return [(each, sorted(number for topic, number in places if topic == each)) for each in topics]
