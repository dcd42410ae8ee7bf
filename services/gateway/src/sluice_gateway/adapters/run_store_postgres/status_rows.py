"""Writes the status part of runs, and the events that say something new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sluice_contracts.ids import RunKey
from sluice_gateway.adapters.run_store_postgres.texts import storable
from sluice_gateway.adapters.run_store_postgres.types import Connection
from sluice_gateway.domain.projected_run import ProjectedRun
from sluice_gateway.domain.run_changes import EventChange, NoticeChange

__all__ = ["write_status"]

_PROJECTED: Final = {
    "sequence": "bigint",
    "attempt": "integer",
    "phase": "text",
    "terminal": "boolean",
    "status_workflow": "text",
    "status_fingerprint": "text",
    "status_facts": "text",
    "progress": "text",
    "started_at": "text",
    "finished_at": "text",
    "status_ms": "bigint",
    "status_partition": "integer",
    "status_offset": "bigint",
    "first_ms": "bigint",
    "events_from_ms": "bigint",
    "notice": "text",
    "notice_ms": "bigint",
    "notice_partition": "integer",
    "notice_offset": "bigint",
    "accepted_ms": "bigint",
}
"""What is projected here of a run; others write `accepted_ms` too, and the earliest one counts."""

_COLUMNS: Final = {
    "tenant": "text",
    "run_id": "text",
    "steps_from": "bigint",
    "groups_from": "bigint",
    **_PROJECTED,
}

_READ: Final = f"""
SELECT {", ".join(_COLUMNS)} FROM runs
WHERE (tenant, run_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""  # noqa: S608


def _newer(columns: Iterable[str], *, order: str) -> str:
    """Return the assignments that leave columns as they are if the stored row is newer."""
    newer = f"({order.format(row='excluded')}) >= ({order.format(row='runs')})"
    return ",\n".join(
        f"    {name} = CASE WHEN {newer} THEN excluded.{name} ELSE runs.{name} END"
        for name in columns
    )


_EARLIEST: Final = ("first_ms", "events_from_ms", "accepted_ms")
_OF_NOTICE: Final = tuple(name for name in _PROJECTED if name.startswith("notice"))
_OF_EVENT: Final = tuple(
    name for name in list(_COLUMNS)[2:] if name not in (*_EARLIEST, *_OF_NOTICE)
)

# A tenant that was given topics of its own has records of a run on two partitions, which two
# gateways may project at a time. So each part keeps what is newer, whatever was read before.
_WRITE: Final = f"""
INSERT INTO runs ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"${n}::{t}[]" for n, t in enumerate(_COLUMNS.values(), 1))})
    AS given ({", ".join(_COLUMNS)})
ORDER BY tenant, run_id
ON CONFLICT (tenant, run_id) DO UPDATE SET
{_newer(_OF_EVENT, order="{row}.sequence")},
{_newer(_OF_NOTICE, order="COALESCE({row}.notice_ms, 0)")},
{", ".join(f"{name} = LEAST(runs.{name}, excluded.{name})" for name in _EARLIEST)}
"""  # noqa: S608

_EVENT_COLUMNS: Final = (
    *("tenant", "run_id", "sequence", "epoch", "partition", "offset"),
    *("appended_ms", "phase", "type", "bytes", "event"),
)


@dataclass(kw_only=True, slots=True)
class _Work:
    run: ProjectedRun
    steps_from: int = 0
    groups_from: int = 0
    changed: bool = False

    def apply(self, change: EventChange | NoticeChange) -> EventChange | None:
        """Apply the change, and return it if it is an event that has to be kept."""
        attempt = self.run.attempt
        if isinstance(change, NoticeChange):
            self.run.apply_notice(change)
            self.changed = True
            return None
        if not self.run.apply_event(change):
            return None
        self.changed = True
        # A retry does not keep the steps that failed: the first event of an attempt has all that it
        # has, and so has the last one.
        is_retry = change.attempt > attempt
        if is_retry or (change.terminal and change.steps):
            self.steps_from = change.sequence
        if is_retry or (change.terminal and change.groups):
            self.groups_from = change.sequence
        return change


async def write_status(
    connection: Connection,
    changes: Sequence[EventChange | NoticeChange],
    *,
    epoch: int,
) -> None:
    """Write what status records of one topic say, in the order in which they stand there.

    The caller has locked the partitions. Others may write the status of a run of which there are
    records on another partition; the newest status and the newest notice are kept.
    """
    if not changes:
        return
    runs = await _stored(connection, {change.key for change in changes})
    kept = [new for change in changes if (new := runs[change.key].apply(change))]
    if kept:
        await connection.copy_records_to_table(
            "events", columns=_EVENT_COLUMNS, records=[_event(each, epoch=epoch) for each in kept]
        )
    rows = [_row(run) for run in runs.values() if run.changed]
    if rows:
        await connection.execute(_WRITE, *map(list, zip(*rows, strict=True)))


async def _stored(connection: Connection, keys: set[RunKey]) -> dict[RunKey, _Work]:
    runs = {key: _Work(run=ProjectedRun(tenant=key.tenant, run_id=key.run_id)) for key in keys}
    tenants, run_ids = zip(*keys, strict=True)
    for row in await connection.fetch(_READ, tenants, run_ids):
        tenant, run_id, steps_from, groups_from, *values = row
        run = ProjectedRun(
            tenant=tenant, run_id=run_id, **dict(zip(_PROJECTED, values, strict=True))
        )
        runs[RunKey(tenant, run_id)] = _Work(
            run=run, steps_from=steps_from, groups_from=groups_from
        )
    return runs


def _event(change: EventChange, *, epoch: int) -> tuple[Any, ...]:
    return (
        *change.key,
        change.sequence,
        epoch,
        change.partition,
        change.offset,
        change.appended_ms,
        change.phase,
        change.type,
        len(change.data),
        change.data,
    )


def _row(work: _Work) -> tuple[Any, ...]:
    values = [getattr(work.run, name) for name in _PROJECTED]
    return (
        *(work.run.tenant, work.run.run_id, work.steps_from, work.groups_from),
        *(storable(value) if isinstance(value, str) else value for value in values),
    )
