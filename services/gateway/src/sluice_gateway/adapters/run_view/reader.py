"""Reads the view of runs, a SQLite projection of the request and the status topics."""

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase, QueueState
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.adapters.run_view.all_events import stream_end, stream_page
from sluice_gateway.adapters.run_view.lists import count_kinds, count_runs, list_runs
from sluice_gateway.adapters.run_view.projection import write_changes
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
from sluice_gateway.domain.partitions import LogPartition
from sluice_gateway.domain.queue_places import RATE_WINDOW, queue_state
from sluice_gateway.domain.run_changes import (
    Facts,
    KeepsParameters,
    RequestChange,
    milliseconds,
    moment,
)
from sluice_gateway.domain.run_query import KindCount, RunFilter, RunPage, RunPlace, StreamPlace
from sluice_gateway.ports import Subscription
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.sqlite_store import SqliteStore

__all__ = ["SqliteRunView"]

_FIND: Final = """
SELECT runs.workflow, COALESCE(status_fingerprint, request_fingerprint), runs.phase, terminal,
       accepted_ms, facts,
       -- Those of another request under the id are not the run's.
       CASE WHEN status_fingerprint = request_fingerprint OR status_fingerprint IS NULL
            THEN parameters.parameters END,
       notice, place_ms,
       events.partition, events.offset, events.event,
       (SELECT json_group_array(json(step)) FROM
           (SELECT step FROM steps WHERE number = runs.number AND kind = 's' ORDER BY rowid)),
       (SELECT json_group_array(json(step)) FROM
           (SELECT step FROM steps WHERE number = runs.number AND kind = 'g' ORDER BY rowid))
FROM runs LEFT JOIN events USING (number, sequence) LEFT JOIN parameters USING (number)
WHERE tenant = ?1 AND run_id = ?2
"""

# One row without an event says that the run is known and nothing has come.
_EVENTS: Final = """
SELECT runs.terminal, runs.sequence, runs.dropped_sequence,
       events.sequence, events.partition, events.offset
FROM runs LEFT JOIN events
    ON events.number = runs.number AND events.sequence > ?3
    AND NOT (events.partition IS ?4 AND events.offset <= ?5)
WHERE runs.tenant = ?1 AND runs.run_id = ?2
ORDER BY events.sequence LIMIT ?6
"""

_NUMBER: Final = "(SELECT number FROM runs WHERE tenant = ?1 AND run_id = ?2)"

_CONTENTS: Final = f"""
SELECT sequence, partition, offset, type, event FROM events
WHERE number = {_NUMBER} AND sequence >= ?3 ORDER BY sequence
"""  # noqa: S608

# The place is of another replica, which may have read more.
_SEQUENCE_AT: Final = f"""
SELECT (SELECT MAX(sequence) FROM events
        WHERE number = {_NUMBER} AND partition = ?3 AND offset <= ?4),
       NOT EXISTS (SELECT 1 FROM events WHERE partition = ?3 AND offset >= ?4)
"""  # noqa: S608


_FOUND_AT_A_TIME: Final = 2


# Runs accepted before this one that wait as well, and those that started lately.
_AHEAD: Final = """
SELECT (SELECT COUNT(*) FROM runs
        WHERE sequence < 0 AND (place_ms, tenant, run_id) < (?1, ?2, ?3)),
       (SELECT COUNT(*) FROM runs WHERE events_from_ms >= ?4)
"""


class _StateRow(NamedTuple):
    """A row of `_FIND`."""

    workflow: str | None
    fingerprint: str | None
    phase: str
    terminal: int
    accepted_ms: int | None
    facts: str | None
    parameters: str | None
    notice: str | None
    place_ms: int
    partition: LogPartition | None
    offset: int | None
    event: str | None
    steps: str
    groups: str


class SqliteRunView:
    """Reads the view; `catch_up` is `RunView.catch_up`."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        topics: TopicSets,
        subscriptions: RunSubscriptions,
        catch_up: Callable[[], Coroutine[Any, Any, str | None]],
        keeps_parameters: KeepsParameters,
        written: WrittenRequests | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._written = WrittenRequests() if written is None else written
        self._topics = topics
        self._subscriptions = subscriptions
        self.catch_up = catch_up
        self._keeps_parameters = keeps_parameters
        self._now = now
        self._finding = asyncio.Semaphore(_FOUND_AT_A_TIME)

    async def find(self, key: RunKey) -> RunState | None:
        """See `RunView.find`."""
        if key in self._written:
            await self._write_accepted()
        # States may be large, and the store reads faster than they are decoded and sent.
        async with self._finding:
            rows = await self._store.read(_FIND, key)
            if not rows:
                return None
            row = _StateRow(*rows[0])
            queue = None if row.event is not None else await self._queue(key, row)
            return _state(key, row, queue=queue)

    def accept(self, run: AcceptedRun) -> None:
        """See `RunView.accept`."""
        change = RequestChange.of_accepted(
            run, topics=self._topics, keeps_parameters=self._keeps_parameters
        )
        topic = self._topics.of_tenant(run.key.tenant).topics.requests
        self._written.add(topic, run.partition, change)

    async def events(
        self, key: RunKey, *, beyond: int, after: EventPlace | None, limit: int
    ) -> EventPage | None:
        """See `RunView.events`."""
        if key in self._written:
            await self._write_accepted()
        is_behind = False
        if after is not None and beyond < 0:
            [(sequence, is_behind)] = await self._store.read(_SEQUENCE_AT, (*key, *after))
            beyond = -1 if sequence is None else sequence
        rows = await self._store.read(_EVENTS, (*key, beyond, *(after or (None, None)), limit))
        if not rows:
            return None
        terminal, latest, dropped = rows[0][:3]
        events = tuple(
            # What was dropped stood before all that is left.
            _head(row[3:], after_gap=number == 0 and beyond < dropped)
            for number, row in enumerate(rows)
            if row[3] is not None
        )
        complete = len(events) < limit or events[-1].sequence == latest
        ended = bool(terminal) and complete
        return EventPage(events=events, ended=ended, is_behind=bool(is_behind))

    async def contents(self, key: RunKey, sequence: int, *, max_bytes: int) -> tuple[RunEvent, ...]:
        """See `RunView.contents`."""
        # Characters are as good as bytes here: this bounds what is read, and counts nothing.
        rows = await self._store.read_some(
            _CONTENTS, (*key, sequence), most=max_bytes, size=lambda row: len(row[-1])
        )
        return tuple(_event(row) for row in rows)

    def subscribe(self, key: RunKey) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe`."""
        return self._subscriptions.subscribe(str(key))

    async def list(self, query: RunFilter, *, before: RunPlace | None, limit: int) -> RunPage:
        """See `RunView.list`."""
        await self._write_accepted()
        return await self._store.query(partial(list_runs, query=query, before=before, limit=limit))

    async def count(self, query: RunFilter) -> Mapping[Phase, int]:
        """See `RunView.count`."""
        await self._write_accepted()
        return await self._store.query(partial(count_runs, query=query))

    async def count_kinds(self, query: RunFilter) -> Sequence[KindCount]:
        """See `RunView.count_kinds`."""
        await self._write_accepted()
        return await self._store.query(partial(count_kinds, query=query))

    async def stream_end(self, *, tenants: Collection[str] | None = None) -> StreamPlace:
        """See `RunView.stream_end`."""
        return await self._store.query(partial(stream_end, topics=self._topics, tenants=tenants))

    async def all_events(
        self, query: RunFilter, *, after: StreamPlace, limit: int, max_bytes: int
    ) -> StreamPage:
        """See `RunView.all_events`."""
        return await self._store.query(
            partial(
                stream_page,
                topics=self._topics,
                query=query,
                after=after,
                limit=limit,
                max_bytes=max_bytes,
            )
        )

    def subscribe_all(self) -> AbstractContextManager[Subscription]:
        """See `RunView.subscribe_all`."""
        return self._subscriptions.subscribe_all()

    async def _write_accepted(self) -> None:
        await self._written.write(self._write_requests)

    async def _write_requests(self, changes: Sequence[RequestChange]) -> None:
        await self._store.transact(lambda connection: write_changes(connection, changes))

    async def _queue(self, key: RunKey, row: _StateRow) -> QueueState:
        now = self._now()
        [(ahead, started)] = await self._store.read(
            _AHEAD, (row.place_ms, *key, milliseconds(now - RATE_WINDOW))
        )
        return queue_state(notice=row.notice, ahead=ahead, started=started, now=now)


def _state(key: RunKey, row: _StateRow, *, queue: QueueState | None) -> RunState:
    event = None
    if row.event is not None:
        event = json.loads(row.event)
        event["steps"], event["groups"] = json.loads(row.steps), json.loads(row.groups)
    facts = Facts.from_json(row.facts)
    parts: list[object] = [row.partition, row.offset, row.accepted_ms]
    if queue is not None:
        parts += [queue.position, queue.held_by, queue.since, queue.eta]
    return RunState(
        key=key,
        workflow=row.workflow,
        fingerprint=row.fingerprint,
        phase=Phase(row.phase),
        terminal=bool(row.terminal),
        accepted_at=None if row.accepted_ms is None else moment(row.accepted_ms),
        event=event,
        version=":".join("-" if part is None else str(part).replace('"', "'") for part in parts),
        labels=facts.labels,
        priority=facts.priority,
        parent=facts.parent,
        requested_by=facts.requested_by,
        parameters=None if row.parameters is None else json.loads(row.parameters),
        queue=queue,
    )


def _head(row: Any, *, after_gap: bool) -> EventHead:  # noqa: ANN401
    sequence, partition, offset = row
    place = EventPlace(partition, offset)
    return EventHead(place=place, sequence=sequence, after_gap=after_gap)


def _event(row: Any) -> RunEvent:  # noqa: ANN401
    sequence, partition, offset, kind, text = row
    return RunEvent(place=EventPlace(partition, offset), sequence=sequence, type=kind, data=text)
