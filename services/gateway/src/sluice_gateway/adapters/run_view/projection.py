"""How changes of runs become rows: a batch at a time, within one transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final

from sluice_contracts.ids import RunKey
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.run_view.dropping import drop_runs
from sluice_gateway.adapters.run_view.schema import TABLES, VERSION
from sluice_gateway.domain.projected_run import ProjectedRun
from sluice_gateway.domain.run_changes import (
    EventChange,
    KeepsParameters,
    NoticeChange,
    RequestChange,
    RunChange,
    change_of,
)
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

_ADD: Final = f"""
INSERT INTO runs ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" for _ in _COLUMNS)})
"""  # noqa: S608

_CHANGE: Final = f"""
UPDATE runs SET {", ".join(f"{name} = ?" for name in _COLUMNS)} WHERE number = ?
"""  # noqa: S608

_KEEP_EVENT: Final = """
INSERT OR REPLACE INTO events
    (number, sequence, partition, offset, appended_ms, phase, type, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_KEEP_STEP: Final = """
INSERT INTO steps (number, kind, step_id, step) VALUES (?, ?, ?, ?)
ON CONFLICT (number, kind, step_id) DO UPDATE SET step = excluded.step
"""

_DROP_PARAMETERS: Final = "DELETE FROM parameters WHERE number = ?"
_KEEP_PARAMETERS: Final = "INSERT INTO parameters VALUES (?, ?)"

# Bound to the names of the request and the status topic.
_OVER: Final = """
SELECT number FROM runs
LEFT JOIN log_starts AS asked ON asked.topic = ?1 AND asked.partition = request_partition
LEFT JOIN log_starts AS published
   ON published.topic = ?2 AND published.partition = COALESCE(status_partition, notice_partition)
WHERE (terminal OR sequence < 0)
   AND (request_offset IS NULL OR request_offset < asked.first_offset)
   AND (COALESCE(status_offset, notice_offset) IS NULL
        OR COALESCE(status_offset, notice_offset) < published.first_offset)
"""

# Events that the topic deleted before they were read here are missing.
_MISSED: Final = """
INSERT OR REPLACE INTO whole_from
SELECT partition, first_offset FROM log_starts
LEFT JOIN projected_offsets USING (topic, partition)
WHERE topic = ?1 AND first_offset > COALESCE(next_offset, 0)
"""


def view_projection(
    topics: TopicNames, *, keeps_parameters: KeepsParameters
) -> Projection[RunChange]:
    """Return the projection of the request and the status topic."""
    return Projection(
        tables=TABLES,
        version=VERSION,
        decode=partial(change_of, topics=topics, keeps_parameters=keeps_parameters),
        write=write_changes,
        expire=partial(_expire, topics=topics),
    )


@dataclass(kw_only=True, slots=True)
class _Work:
    """A run, and what its changes in this batch leave to be written."""

    number: int | None
    run: ProjectedRun
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
        for kind, changed in (("s", change.steps), ("g", change.groups)):
            # A retry does not keep the steps that failed; its first event carries all it has.
            if is_retry or (change.terminal and changed):
                self.emptied.add(kind)
                self.steps = {at: text for at, text in self.steps.items() if at[0] != kind}
            for step_id, text in changed.items():
                self.steps[kind, step_id] = text


def write_changes(connection: sqlite3.Connection, changes: Sequence[RunChange]) -> None:
    """Write what the changes leave of each run, within the caller's transaction."""
    works = _load(connection, {change.key for change in changes})
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
        work.number, work.run = number, run
    return works


def _write_runs(connection: sqlite3.Connection, works: Iterable[_Work]) -> None:
    known = []
    for work in works:
        if work.number is None:
            work.number = connection.execute(_ADD, _row(work.run)).lastrowid
        else:
            known.append((*_row(work.run), work.number))
    connection.executemany(_CHANGE, known)


def _write_parts(connection: sqlite3.Connection, works: Sequence[_Work]) -> None:
    asked = [work for work in works if work.takes_parameters]
    connection.executemany(_DROP_PARAMETERS, [(work.number,) for work in asked])
    connection.executemany(
        _KEEP_PARAMETERS,
        [(work.number, work.parameters) for work in asked if work.parameters is not None],
    )
    connection.executemany(
        _KEEP_EVENT,
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
    connection.executemany(
        "DELETE FROM steps WHERE number = ? AND kind = ?",
        [(work.number, kind) for work in works for kind in work.emptied],
    )
    connection.executemany(
        _KEEP_STEP,
        [(work.number, *at, text) for work in works for at, text in work.steps.items()],
    )


def _row(run: ProjectedRun) -> list[Any]:
    return [getattr(run, name) for name in _COLUMNS]


def _expire(connection: sqlite3.Connection, *, topics: TopicNames) -> None:
    """Drop the runs of which the topics hold nothing any more; one that goes on is kept."""
    connection.execute(_MISSED, (topics.status,))
    over = connection.execute(_OVER, (topics.requests, topics.status)).fetchall()
    drop_runs(connection, [number for (number,) in over])
