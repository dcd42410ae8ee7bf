"""Reads the view of runs in PostgreSQL."""

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase, QueueState
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.adapters.run_store_postgres.all_events import (
    EventLogs,
    stream_end,
    stream_page,
)
from sluice_gateway.adapters.run_store_postgres.lists import (
    count_query,
    kinds_query,
    list_query,
    summary_of,
)
from sluice_gateway.adapters.run_store_postgres.partition_numbers import PartitionNumbers
from sluice_gateway.adapters.run_store_postgres.store import PostgresStore
from sluice_gateway.adapters.run_store_postgres.types import Pool
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.domain.models import (
    AcceptedRun,
    EventHead,
    EventPage,
    EventPlace,
    RunEvent,
    RunState,
    StreamPage,
)
from sluice_gateway.domain.queue_places import RATE_WINDOW, queue_state
from sluice_gateway.domain.run_changes import Facts, milliseconds, moment
from sluice_gateway.domain.run_query import KindCount, RunFilter, RunPage, RunPlace, StreamPlace
from sluice_gateway.ports import Subscription
from sluice_gateway.services.subscriptions import RunSubscriptions

__all__ = ["PostgresRunView"]

_FIND: Final = """
SELECT workflow, COALESCE(status_fingerprint, request_fingerprint), phase, terminal, accepted_ms,
       COALESCE(status_facts, request_facts),
       -- Those of another request under the id are not the run's.
       CASE WHEN status_fingerprint = request_fingerprint OR status_fingerprint IS NULL
            THEN parameters END,
       notice, place_ms,
       status_partition, status_offset, sequence, steps_from, groups_from,
       ARRAY (SELECT ROW(events.sequence, event) FROM events
              WHERE events.tenant = runs.tenant AND events.run_id = runs.run_id
                  AND events.sequence
                      BETWEEN LEAST(steps_from, groups_from) AND runs.sequence
              ORDER BY events.sequence)
FROM runs WHERE tenant = $1 AND run_id = $2
"""

# One row without an event says that the run is known and nothing has come.
_EVENTS: Final = """
SELECT runs.terminal, runs.sequence, events.sequence, events.partition, events."offset"
FROM runs LEFT JOIN events
    ON events.tenant = runs.tenant AND events.run_id = runs.run_id AND events.sequence > $3
    AND NOT (events.partition IS NOT DISTINCT FROM $4::integer AND events."offset" <= $5::bigint)
WHERE runs.tenant = $1 AND runs.run_id = $2
ORDER BY events.sequence LIMIT $6
"""

# One more than fits, for a page has at least one.
_CONTENTS: Final = """
SELECT sequence, partition, "offset", type, event FROM (
    SELECT *, sum(bytes) OVER (ORDER BY sequence) - bytes AS before FROM (
        SELECT * FROM events
        WHERE tenant = $1 AND run_id = $2 AND sequence >= $3 ORDER BY sequence LIMIT 1000
    ) AS next
) AS counted WHERE before < $4 ORDER BY sequence
"""

_SEQUENCE_AT: Final = """
SELECT max(sequence) FROM events
WHERE tenant = $1 AND run_id = $2 AND partition = $3 AND "offset" <= $4
"""

# Runs accepted before this one that wait as well, and those that started lately.
_AHEAD: Final = """
SELECT (SELECT count(*) FROM runs
        WHERE sequence < 0 AND (place_ms, tenant, run_id) < ($1::bigint, $2::text, $3::text)),
       (SELECT count(*) FROM runs WHERE events_from_ms >= $4::bigint)
"""

# States may be large, and are read faster than they are decoded and sent.
_FOUND_AT_A_TIME: Final = 2


class _Row(NamedTuple):
    """A row of `_FIND`; `events` are those that have the run's steps and groups."""

    workflow: str | None
    fingerprint: str | None
    phase: str
    terminal: bool
    accepted_ms: int | None
    facts: str | None
    parameters: str | None
    notice: str | None
    place_ms: int
    partition: int | None
    offset: int | None
    sequence: int
    steps_from: int
    groups_from: int
    events: list[tuple[int, str]]


class PostgresRunView:
    """Reads the view; `catch_up` is `RunView.catch_up`, `now` the time to estimate a start from.

    What reads raises asyncpg.PostgresError, asyncpg.InterfaceError or OSError if the database
    cannot be used.
    """

    def __init__(
        self,
        pool: Pool,
        store: PostgresStore,
        *,
        topics: TopicSets,
        partitions: PartitionNumbers,
        subscriptions: RunSubscriptions,
        catch_up: Callable[[], Coroutine[Any, Any, str | None]],
        written: WrittenRequests | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._store = store
        self._written = WrittenRequests() if written is None else written
        self._logs = EventLogs(topics, partitions)
        self._partitions = partitions
        self._subscriptions = subscriptions
        self.catch_up = catch_up
        self._now = now
        self._finding = asyncio.Semaphore(_FOUND_AT_A_TIME)

    async def find(self, key: RunKey) -> RunState | None:
        """See `RunView.find`."""
        if key in self._written:
            await self._write_accepted()
        async with self._finding:
            rows = await self._pool.fetch(_FIND, *key)
            if not rows:
                return None
            row = _Row(*rows[0])
            queue = None if row.sequence >= 0 else await self._queue(key, row)
            return _state(key, row, queue=queue)

    def accept(self, run: AcceptedRun) -> None:
        """See `RunView.accept`."""
        topic = self._store.request_topic(run.key.tenant)
        self._written.add(topic, run.partition, self._store.change_of_accepted(run))

    async def events(
        self, key: RunKey, *, beyond: int, after: EventPlace | None, limit: int
    ) -> EventPage | None:
        """See `RunView.events`."""
        if key in self._written:
            await self._write_accepted()
        place: tuple[int | None, int | None] = (None, None)
        if after is not None:
            place = (self._partitions.number_of(after.partition), after.offset)
            if beyond < 0:
                sequence = await self._pool.fetchval(_SEQUENCE_AT, *key, *place)
                beyond = -1 if sequence is None else sequence
        rows = await self._pool.fetch(_EVENTS, *key, beyond, *place, limit)
        if not rows:
            return None
        terminal, latest = rows[0][:2]
        events = tuple(
            EventHead(place=self._place(partition, offset), sequence=sequence)
            for _, _, sequence, partition, offset in rows
            if sequence is not None
        )
        complete = len(events) < limit or events[-1].sequence == latest
        return EventPage(events=events, ended=terminal and complete)

    async def contents(self, key: RunKey, sequence: int, *, max_bytes: int) -> tuple[RunEvent, ...]:
        """See `RunView.contents`."""
        rows = await self._pool.fetch(_CONTENTS, *key, sequence, max_bytes)
        return tuple(
            RunEvent(place=self._place(partition, offset), sequence=number, type=kind, data=text)
            for number, partition, offset, kind, text in rows
        )

    def subscribe(self, key: RunKey) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe`."""
        return self._subscriptions.subscribe(str(key))

    async def list(self, query: RunFilter, *, before: RunPlace | None, limit: int) -> RunPage:
        """See `RunView.list`."""
        await self._write_accepted()
        sql, arguments = list_query(query, before=before, limit=limit + 1)
        rows = await self._pool.fetch(sql, *arguments)
        runs = tuple(summary_of(row) for row in rows[:limit])
        return RunPage(runs=runs, next=runs[-1].place if len(rows) > limit else None)

    async def count(self, query: RunFilter) -> Mapping[Phase, int]:
        """See `RunView.count`."""
        await self._write_accepted()
        sql, arguments = count_query(query)
        return {Phase(phase): count for phase, count in await self._pool.fetch(sql, *arguments)}

    async def count_kinds(self, query: RunFilter) -> Sequence[KindCount]:
        """See `RunView.count_kinds`."""
        await self._write_accepted()
        sql, arguments = kinds_query(query)
        return [
            KindCount(tenant, workflow, Phase(phase), runs)
            for tenant, workflow, phase, runs in await self._pool.fetch(sql, *arguments)
        ]

    async def stream_end(self, *, tenants: Collection[str] | None = None) -> StreamPlace:
        """See `RunView.stream_end`."""
        async with self._pool.acquire() as connection:
            return await stream_end(connection, logs=self._logs, tenants=tenants)

    async def all_events(
        self, query: RunFilter, *, after: StreamPlace, limit: int, max_bytes: int
    ) -> StreamPage:
        """See `RunView.all_events`."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await stream_page(
                connection,
                logs=self._logs,
                query=query,
                after=after,
                limit=limit,
                max_bytes=max_bytes,
            )

    def subscribe_all(self) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe_all`."""
        return self._subscriptions.subscribe_all()

    async def _write_accepted(self) -> None:
        await self._written.write(self._store.note_all)

    def _place(self, partition: int, offset: int) -> EventPlace:
        return EventPlace(self._partitions.name_of(partition), offset)

    async def _queue(self, key: RunKey, row: _Row) -> QueueState:
        now = self._now()
        since = milliseconds(now - RATE_WINDOW)
        ahead, started = await self._pool.fetchrow(_AHEAD, row.place_ms, *key, since)
        return queue_state(notice=row.notice, ahead=ahead, started=started, now=now)


def _state(key: RunKey, row: _Row, *, queue: QueueState | None) -> RunState:
    facts = Facts.from_json(row.facts)
    parts: list[object] = [row.partition, row.offset, row.accepted_ms]
    if queue is not None:
        parts += [queue.position, queue.held_by, queue.since, queue.eta]
    return RunState(
        key=key,
        workflow=row.workflow,
        fingerprint=row.fingerprint,
        phase=Phase(row.phase),
        terminal=row.terminal,
        accepted_at=None if row.accepted_ms is None else moment(row.accepted_ms),
        event=_event(row),
        version=":".join("-" if part is None else str(part).replace('"', "'") for part in parts),
        labels=facts.labels,
        priority=facts.priority,
        parent=facts.parent,
        requested_by=facts.requested_by,
        parameters=None if row.parameters is None else json.loads(row.parameters),
        queue=queue,
    )


def _event(row: _Row) -> Mapping[str, Any] | None:
    """Return the latest event with all steps and groups; events have those that changed."""
    event: dict[str, Any] | None = None
    steps: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for sequence, text in row.events:
        event = json.loads(text)
        if sequence >= row.steps_from:
            steps |= {step["id"]: step for step in event["steps"]}
        if sequence >= row.groups_from:
            groups |= {group["id"]: group for group in event["groups"]}
    if event is not None:
        event["steps"], event["groups"] = list(steps.values()), list(groups.values())
    return event
