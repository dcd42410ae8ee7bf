"""The ledger of outcomes: the results topics of all sets, projected into SQLite."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import ForeignRecordError, PublishedEvent, decode_status
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_runtime.projection.many_rows import ManyRows
from sluice_runtime.projection.projection import Projection
from sluice_runtime.projection.projector import Projector
from sluice_runtime.projection.sqlite_store import SqliteStore

__all__ = ["SqliteLedger", "open_ledger_store"]

_log = structlog.get_logger(__name__)

_VERSION: Final = 6
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS outcomes (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    fingerprint TEXT,
    phase TEXT NOT NULL,
    -- Of the newest record with the outcome; NULL until the first one has been projected.
    topic TEXT,
    partition INTEGER,
    offset INTEGER,
    appended_ms INTEGER,
    -- The event, if the run was stopped before it was a Workflow.
    cancelled TEXT,
    PRIMARY KEY (tenant, run_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_by_record ON outcomes (topic, partition, offset);
"""

# An outcome without a record is not below the start of the log, so it stays.
_EXPIRY: Final = """
DELETE FROM outcomes WHERE (tenant, run_id) IN (
    SELECT tenant, run_id FROM log_starts JOIN outcomes USING (topic, partition)
    WHERE outcomes.offset < log_starts.first_offset
)
"""


_NOTE: Final = ManyRows(
    """
INSERT INTO outcomes
    (tenant, run_id, fingerprint, phase, topic, partition, offset, appended_ms, cancelled)
VALUES {rows}
ON CONFLICT (tenant, run_id) DO UPDATE SET
    phase = excluded.phase,
    topic = COALESCE(excluded.topic, topic),
    partition = COALESCE(excluded.partition, partition),
    offset = COALESCE(excluded.offset, offset),
    appended_ms = COALESCE(excluded.appended_ms, appended_ms),
    cancelled = excluded.cancelled
WHERE COALESCE(excluded.appended_ms >= appended_ms, TRUE)
""",
    width=9,
)

_Row = tuple[
    str, str, str | None, Phase, str | None, int | None, int | None, int | None, str | None
]


def open_ledger_store(path: Path) -> AbstractAsyncContextManager[SqliteStore]:
    """Open the ledger's file, and close it at the end."""
    return SqliteStore.open(
        path,
        Projection(
            tables=_TABLES,
            version=_VERSION,
            decode=_decode,
            write=_note,
            expire=_expire,
        ),
    )


class SqliteLedger:
    """The real `Ledger`: answers from the file, once it is known to be fresh."""

    def __init__(self, store: SqliteStore, projector: Projector, *, freshness: timedelta) -> None:
        self._store = store
        self._projector = projector
        self._freshness = freshness.total_seconds()

    async def get(self, key: RunKey) -> LedgerEntry | None:
        """See `Ledger.get`."""
        await self._projector.wait_fresh(within=self._freshness)
        rows = await self._store.read(
            "SELECT fingerprint, phase, cancelled FROM outcomes WHERE tenant = ? AND run_id = ?",
            key,
        )
        if not rows:
            return None
        fingerprint, phase, cancelled = rows[0]
        return LedgerEntry(
            fingerprint=fingerprint,
            phase=Phase(phase),
            cancelled=None if cancelled is None else StatusEvent.model_validate_json(cancelled),
        )

    async def record(self, published: PublishedEvent) -> None:
        """See `Ledger.record`."""
        await self._store.note(_row(published, record=None))

    def waiting_for(self) -> str | None:
        """Return why answers have to wait, for a probe; None while they come at once."""
        staleness = self._projector.staleness()
        if staleness is not None and staleness > self._freshness:
            return f"the ledger is {staleness:.0f} s behind"
        return self._projector.waiting_for()


def _decode(record: IncomingRecord) -> _Row | None:
    if record.value is None:
        return None
    try:
        published = decode_status(record)
    except ForeignRecordError as e:
        _log.warning("foreign record on the results topic", error=str(e))
        return None
    if not isinstance(published, PublishedEvent) or not published.event.terminal:
        return None
    return _row(published, record=record)


def _note(connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
    """Note outcomes.

    The first outcome of a run fixes the fingerprint; a later attempt changes only the phase. A
    topic that was given more partitions may hold outcomes of one run on two of them, read in any
    order; so may two topics, if the tenant was given others. The newest one by Kafka's timestamp
    counts, because it is retained the longest.
    """
    _NOTE.run(connection, rows)


def _expire(connection: sqlite3.Connection) -> bool:
    connection.execute(_EXPIRY)
    return False


def _row(published: PublishedEvent, *, record: IncomingRecord | None) -> _Row:
    """Return the row of an outcome.

    `record` is None for an outcome that was just published. If its record has been projected
    already, the position stays.
    """
    event = published.event
    is_cancelled = event.problem is not None and event.problem.type is ProblemType.CANCELLED
    return (
        event.tenant,
        event.run_id,
        published.fingerprint,
        event.phase,
        record.position.topic if record else None,
        record.position.partition if record else None,
        record.position.offset if record else None,
        record.timestamp_ms if record else None,
        event.model_dump_json() if is_cancelled else None,
    )
