"""Forgets runs that are over for longer than the operator wants to know of them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.adapters.run_store_postgres.partition_numbers import PER_DOOR, PartitionNumbers
from sluice_gateway.adapters.run_store_postgres.types import Pool
from sluice_gateway.domain.run_changes import milliseconds

__all__ = ["History"]

_log = structlog.get_logger(__name__)

_EVERY_S: Final = 60.0
# Runs per transaction, during which no status is projected.
_BATCH: Final = 500

_LOCK: Final = """
SELECT FROM projected WHERE topic = ANY ($1::text[]) ORDER BY topic, partition
FOR NO KEY UPDATE
"""

# A clock that is wrong for a moment forgets nothing: both ours and that of Kafka have to say that a
# run is old.
_FORGET: Final = """
WITH over AS (
    SELECT tenant, run_id FROM runs,
        (SELECT LEAST(max(last_ms), $2::bigint) - $3::bigint AS ms FROM projected) AS before
    WHERE place_ms < before.ms AND (terminal OR sequence < 0)
        AND COALESCE(status_ms, first_ms, accepted_ms) < before.ms
    ORDER BY place_ms LIMIT $4
), events_gone AS (
    DELETE FROM events USING over
    WHERE events.tenant = over.tenant AND events.run_id = over.run_id
    RETURNING epoch, partition, "offset"
), runs_gone AS (
    DELETE FROM runs USING over WHERE runs.tenant = over.tenant AND runs.run_id = over.run_id
    RETURNING 1
), log_cut AS (
    UPDATE projected SET first_offset = GREATEST(first_offset, gone.behind)
    FROM (SELECT epoch, partition, max("offset") + 1 AS behind FROM events_gone GROUP BY 1, 2)
        AS gone
    JOIN unnest($1::text[], $5::integer[]) AS begins (topic, number)
        ON gone.partition >= begins.number AND gone.partition < begins.number + $6::integer
    JOIN topics ON topics.topic = begins.topic AND topics.epoch = gone.epoch
    WHERE projected.topic = begins.topic AND projected.partition = gone.partition - begins.number
)
SELECT count(*) FROM runs_gone
"""


class History:
    """Keeps runs for `keep` after their last record, and those that are not over for longer."""

    def __init__(
        self,
        pool: Pool,
        *,
        topics: TopicSets,
        partitions: PartitionNumbers,
        keep: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._status_topics = list(topics.status)
        self._begins = [partitions.begin_of(each.name) for each in topics]
        self._keep_ms = keep // timedelta(milliseconds=1)
        self._now = now

    async def run(self) -> None:
        """Forget what is too old, every minute, until cancelled."""
        while True:
            await self.forget()
            await asyncio.sleep(_EVERY_S)

    async def forget(self) -> int:
        """Forget what is too old now, and return how many runs that were."""
        forgotten = 0
        while batch := await self._forget_some():
            forgotten += batch
            # Projectors that wait for the partitions come first.
            await asyncio.sleep(0)
        if forgotten:
            _log.info("old runs forgotten", runs=forgotten)
        return forgotten

    async def _forget_some(self) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, self._status_topics)
            found: int = await connection.fetchval(
                _FORGET,
                self._status_topics,
                milliseconds(self._now()),
                self._keep_ms,
                _BATCH,
                self._begins,
                PER_DOOR,
            )
        return found
