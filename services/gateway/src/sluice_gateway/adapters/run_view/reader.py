"""Reads the view of runs, a SQLite projection of the request and the status topic."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

import aiosqlite
import structlog

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.projection import accept_run
from sluice_gateway.domain.models import (
    AcceptedRun,
    EventHead,
    EventPage,
    EventPlace,
    RunEvent,
    RunState,
)
from sluice_gateway.ports import Subscription
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.projection.sqlite_store import SqliteStore

__all__ = ["SqliteRunView"]

_log = structlog.get_logger(__name__)

_FIND: Final = """
SELECT COALESCE(status_workflow, request_workflow),
       COALESCE(status_fingerprint, request_fingerprint),
       phase, terminal, accepted_ms, events.partition, events.offset, events.event,
       (SELECT json_group_array(json(step)) FROM
           (SELECT step FROM steps WHERE tenant = ?1 AND run_id = ?2 ORDER BY rowid))
FROM runs LEFT JOIN events USING (tenant, run_id, sequence)
WHERE tenant = ?1 AND run_id = ?2
"""

# One row without an event says that the run is known and nothing has come.
_EVENTS: Final = """
SELECT runs.terminal, runs.sequence, runs.dropped_sequence,
       events.sequence, events.partition, events.offset
FROM runs LEFT JOIN events
    ON events.tenant = runs.tenant AND events.run_id = runs.run_id AND events.sequence > ?3
    AND NOT (events.partition IS ?4 AND events.offset <= ?5)
WHERE runs.tenant = ?1 AND runs.run_id = ?2
ORDER BY events.sequence LIMIT ?6
"""

_CONTENTS: Final = """
SELECT sequence, partition, offset, type, event FROM events
WHERE tenant = ? AND run_id = ? AND sequence >= ? ORDER BY sequence
"""

_SEQUENCE_AT: Final = """
SELECT MAX(sequence) FROM events
WHERE tenant = ? AND run_id = ? AND partition = ? AND offset <= ?
"""


_FOUND_AT_A_TIME: Final = 2


class SqliteRunView:
    """Reads the view; `catch_up` is `RunView.catch_up`."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        subscriptions: RunSubscriptions,
        catch_up: Callable[[], Coroutine[Any, Any, str | None]],
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self.catch_up = catch_up
        self._finding = asyncio.Semaphore(_FOUND_AT_A_TIME)

    async def find(self, key: RunKey) -> RunState | None:
        """See `RunView.find`."""
        # States may be large, and the store reads faster than they are decoded and sent.
        async with self._finding:
            rows = await self._store.read(_FIND, key)
            return _state(key, rows[0]) if rows else None

    async def accept(self, run: AcceptedRun) -> None:
        """See `RunView.accept`."""
        try:
            await self._store.write([accept_run(run)])
        except aiosqlite.Error as e:
            # The run is accepted all the same, and the projection reads its record later.
            _log.warning("run not noted at once", error=str(e))

    async def events(
        self, key: RunKey, *, beyond: int, after: EventPlace | None, limit: int
    ) -> EventPage | None:
        """See `RunView.events`."""
        if after is not None and beyond < 0:
            [(sequence,)] = await self._store.read(_SEQUENCE_AT, (*key, *after))
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
        return EventPage(events=events, ended=bool(terminal) and complete)

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


def _state(key: RunKey, row: Any) -> RunState:  # noqa: ANN401 - sqlite3's rows are untyped
    workflow, fingerprint, phase, terminal, accepted_ms, partition, offset, text, steps = row
    event = None
    if text is not None:
        event = json.loads(text)
        event["steps"] = json.loads(steps)
    return RunState(
        key=key,
        workflow=workflow,
        fingerprint=fingerprint,
        phase=Phase(phase),
        terminal=bool(terminal),
        accepted_at=None if accepted_ms is None else _moment(accepted_ms),
        event=event,
        version=":".join(
            "-" if part is None else str(part) for part in (partition, offset, accepted_ms)
        ),
    )


def _head(row: Any, *, after_gap: bool) -> EventHead:  # noqa: ANN401
    sequence, partition, offset = row
    place = EventPlace(partition, offset)
    return EventHead(place=place, sequence=sequence, after_gap=after_gap)


def _event(row: Any) -> RunEvent:  # noqa: ANN401
    sequence, partition, offset, kind, text = row
    return RunEvent(place=EventPlace(partition, offset), sequence=sequence, type=kind, data=text)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
