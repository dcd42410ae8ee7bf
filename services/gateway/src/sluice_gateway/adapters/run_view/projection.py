"""How changes of runs become rows: a batch at a time, within one transaction."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Final

from sluice_contracts.ids import RunKey
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord
from sluice_gateway.adapters.run_view.expiry import expire_runs
from sluice_gateway.adapters.run_view.schema import TABLES, VERSION
from sluice_gateway.domain.projected_run import ProjectedRun
from sluice_gateway.domain.run_changes import (
    EventChange,
    Facts,
    KeepsParameters,
    NoticeChange,
    RequestChange,
    RunChange,
    change_of,
)
from sluice_runtime.projection.many_rows import ManyRows
from sluice_runtime.projection.projection import Projection

__all__ = ["view_projection", "write_changes"]

_FIELDS: Final = tuple(each.name for each in fields(ProjectedRun))
_DERIVED: Final = ("place_ms", "workflow", "facts")
_COLUMNS: Final = (*_FIELDS, *_DERIVED)

_LOAD: Final = f"""
SELECT number, {", ".join(f"runs.{name}" for name in _FIELDS)}
FROM json_each(?) AS wanted
JOIN runs ON runs.tenant = wanted.value ->> 0 AND runs.run_id = wanted.value ->> 1
"""  # noqa: S608

_ADD: Final = ManyRows(
    f"INSERT INTO runs (number, {', '.join(_COLUMNS)}) VALUES {{rows}}",  # noqa: S608
    width=1 + len(_COLUMNS),
)

# Indexes of other columns are left alone, which is most of the work.
_EVENT_COLUMNS: Final = (
    *("sequence", "attempt", "phase", "terminal", "progress", "started_at", "finished_at"),
    *("status_ms", "status_partition", "status_offset"),
)


def _change(columns: Sequence[str]) -> ManyRows:
    """Return the statement that sets these columns of the run whose number is the first value."""
    return ManyRows(
        f"""
        WITH changed (number, {", ".join(columns)}) AS (VALUES {{rows}})
        UPDATE runs SET {", ".join(f"{name} = changed.{name}" for name in columns)}
        FROM changed WHERE runs.number = changed.number
        """,  # noqa: S608
        width=1 + len(columns),
    )


_CHANGE: Final = _change(_COLUMNS)
_CHANGE_BY_EVENT: Final = _change(_EVENT_COLUMNS)

_ALL_VALUES: Final = attrgetter(*_COLUMNS)
_EVENT_VALUES: Final = attrgetter(*_EVENT_COLUMNS)
_OTHER_VALUES: Final = attrgetter(*(name for name in _COLUMNS if name not in _EVENT_COLUMNS))

_KEEP_EVENT: Final = ManyRows(
    """
    INSERT OR REPLACE INTO events
        (number, sequence, partition, offset, appended_ms, phase, type, event)
    VALUES {rows}
    """,
    width=8,
)

_KEEP_STEP: Final = ManyRows(
    """
    INSERT INTO steps (number, kind, step_id, step) VALUES {rows}
    ON CONFLICT (number, kind, step_id) DO UPDATE SET step = excluded.step
    """,
    width=4,
)
# A pair of columns that is looked for in a list of rows makes SQLite read the whole table.
_DROP_STEPS: Final = {
    kind: ManyRows(
        f"DELETE FROM steps WHERE number IN (VALUES {{rows}}) AND kind = '{kind}'",  # noqa: S608
        width=1,
    )
    for kind in ("s", "g")
}

_ADD_ID: Final = ManyRows("INSERT INTO ids (rowid, run_id) VALUES {rows}", width=2)
_ADD_LABEL: Final = ManyRows(
    "INSERT INTO labels (name, value, listed_ms, number) VALUES {rows}", width=4
)
_DROP_LABELS: Final = ManyRows("DELETE FROM labels WHERE number IN (VALUES {rows})", width=1)

_KEEP_PARAMETERS: Final = ManyRows("INSERT INTO parameters VALUES {rows}", width=2)
_DROP_PARAMETERS: Final = ManyRows(
    "DELETE FROM parameters WHERE number IN (VALUES {rows})", width=1
)


def view_projection(
    origins: RecordOrigins,
    *,
    keeps_parameters: KeepsParameters,
    history: timedelta,
    now: Callable[[], datetime],
    known: Callable[[IncomingRecord], RunChange | None] = lambda _: None,
) -> Projection[RunChange]:
    """Return the projection of the request and the status topics.

    `origins` decides whether a request is from the tenant that it names; one that is not says
    nothing about a run. `history` is how long a run is kept after its last event, at least. `known`
    returns what a record says if that need not be decoded.
    """

    def decode(record: IncomingRecord) -> RunChange | None:
        change = known(record)
        if change is not None:
            return change
        return change_of(record, origins=origins, keeps_parameters=keeps_parameters)

    return Projection(
        tables=TABLES,
        version=VERSION,
        decode=decode,
        write=write_changes,
        expire=partial(expire_runs, topics=origins.topics, history=history, now=now),
    )


@dataclass(kw_only=True, slots=True)
class _Work:
    """A run, and what its changes in this batch leave to be written."""

    number: int | None
    run: ProjectedRun
    before: tuple[Any, ...] = ()
    """What was stored, but for what every event changes."""
    placed: tuple[int, str | None] | None = None
    """The place and the facts that were stored."""
    changed: bool = False
    parameters: str | None = None
    takes_parameters: bool = False
    events: list[EventChange] = field(default_factory=list)
    emptied: set[str] = field(default_factory=set)
    """The kinds of steps of which those that are stored have to go."""
    steps: dict[tuple[str, str], str] = field(default_factory=dict)

    def apply(self, change: RunChange) -> None:
        """Apply the change to the run, and note what is to be written."""
        match change:
            case RequestChange():
                self.changed = True
                if self.run.apply_request(change):
                    self.parameters, self.takes_parameters = change.parameters, True
            case NoticeChange():
                self.changed = True
                self.run.apply_notice(change)
            case EventChange():
                earlier = self.run.attempt
                if self.run.apply_event(change):
                    self.changed = True
                    self.events.append(change)
                    self._take_steps(change, is_retry=change.attempt > earlier)

    def _take_steps(self, change: EventChange, *, is_retry: bool) -> None:
        if not (change.steps or change.groups or is_retry):
            return
        for kind, changed in (("s", change.steps), ("g", change.groups)):
            # A retry does not keep the steps that failed; its first event carries all it has.
            if is_retry or (change.terminal and changed):
                self.emptied.add(kind)
                self.steps = {at: text for at, text in self.steps.items() if at[0] != kind}
            for step_id, text in changed.items():
                self.steps[kind, step_id] = text


def write_changes(connection: sqlite3.Connection, changes: Sequence[RunChange]) -> None:
    """Write what the changes leave of each run, within the caller's transaction."""
    works = _load(connection, dict.fromkeys(change.key for change in changes))
    for change in changes:
        works[change.key].apply(change)
    changed = [work for work in works.values() if work.changed]
    _write_runs(connection, changed)
    _write_parts(connection, changed)


def _load(connection: sqlite3.Connection, keys: Iterable[RunKey]) -> Mapping[RunKey, _Work]:
    works = {
        key: _Work(number=None, run=ProjectedRun(tenant=key.tenant, run_id=key.run_id))
        for key in keys
    }
    for number, *values in connection.execute(_LOAD, (json.dumps(list(works)),)):
        run = ProjectedRun(**dict(zip(_FIELDS, values, strict=True)))
        work = works[RunKey(run.tenant, run.run_id)]
        work.number, work.run, work.before = number, run, _OTHER_VALUES(run)
        work.placed = run.place_ms, run.facts
    return works


def _write_runs(connection: sqlite3.Connection, works: Iterable[_Work]) -> None:
    added, changed, changed_by_event, placed = [], [], [], []
    [(last,)] = connection.execute("SELECT COALESCE(MAX(number), 0) FROM runs")
    for work in works:
        run = work.run
        if work.number is None:
            last += 1
            work.number = last
            added.append((last, *_ALL_VALUES(run)))
            placed.append(work)
        elif _OTHER_VALUES(run) == work.before:
            changed_by_event.append((work.number, *_EVENT_VALUES(run)))
        else:
            changed.append((work.number, *_ALL_VALUES(run)))
            if work.placed != (run.place_ms, run.facts):
                placed.append(work)
    _ADD.run(connection, added)
    _CHANGE.run(connection, changed)
    _CHANGE_BY_EVENT.run(connection, changed_by_event)
    _ADD_ID.run(connection, [(number, run_id) for number, _, run_id, *_ in added])
    _DROP_LABELS.run(connection, [(work.number,) for work in placed])
    _ADD_LABEL.run(
        connection,
        [
            (name, value, work.run.place_ms, work.number)
            for work in placed
            for name, value in Facts.from_json(work.run.facts).labels.items()
        ],
    )


def _write_parts(connection: sqlite3.Connection, works: Sequence[_Work]) -> None:
    asked = [work for work in works if work.takes_parameters]
    _DROP_PARAMETERS.run(connection, [(work.number,) for work in asked])
    _KEEP_PARAMETERS.run(
        connection,
        [(work.number, work.parameters) for work in asked if work.parameters is not None],
    )
    _KEEP_EVENT.run(
        connection,
        [
            (
                work.number,
                event.sequence,
                event.partition,
                event.offset,
                event.appended_ms,
                event.phase,
                event.type,
                event.data,
            )
            for work in works
            for event in work.events
        ],
    )
    for kind, drop in _DROP_STEPS.items():
        drop.run(connection, [(work.number,) for work in works if kind in work.emptied])
    _KEEP_STEP.run(
        connection,
        [(work.number, *at, text) for work in works for at, text in work.steps.items()],
    )
