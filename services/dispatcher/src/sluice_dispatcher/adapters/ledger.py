"""The ledger of outcomes: the results topic, folded into SQLite."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from sluice_contracts.ids import RunKey
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase, RefusalNotice
from sluice_contracts.status_codec import ForeignRecordError, PublishedEvent, decode_status
from sluice_dispatcher.services.ports import Outcome
from sluice_runtime.kafka.folding import TopicFold
from sluice_runtime.kafka.sqlite_store import SqliteStore

__all__ = ["SqliteLedger", "open_ledger_store"]

_log = structlog.get_logger(__name__)

_HOUR = 3600
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS outcomes (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    fingerprint TEXT,
    phase TEXT NOT NULL,
    event_id TEXT NOT NULL,
    recorded_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, run_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_by_age ON outcomes (recorded_ms);
"""


@asynccontextmanager
async def open_ledger_store(path: Path) -> AsyncIterator[SqliteStore]:
    """Open the ledger's file."""
    async with SqliteStore.open(path, tables=_TABLES, version=_VERSION, fold=_fold) as store:
        yield store


class SqliteLedger:
    """Answers from the file, once it is known to be fresh."""

    def __init__(self, store: SqliteStore, fold: TopicFold, *, freshness: timedelta) -> None:
        self._store = store
        self._topic_fold = fold
        self._freshness = freshness.total_seconds()

    async def find(self, key: RunKey) -> Outcome | None:
        """See `Ledger.find`."""
        await self._topic_fold.fresh(within=self._freshness)
        rows = await self._store.read(
            "SELECT fingerprint, phase, event_id FROM outcomes WHERE tenant = ? AND run_id = ?", key
        )
        if not rows:
            return None
        fingerprint, phase, event_id = rows[0]
        return Outcome(fingerprint=fingerprint, phase=Phase(phase), event_id=event_id)

    async def note(self, published: PublishedEvent) -> None:
        """See `Ledger.note`."""
        recorded_ms = int(published.event.observed_at.timestamp() * 1000)
        await self._store.write([_upsert(published, recorded_ms=recorded_ms)])

    def waiting_for(self) -> str | None:
        """Say what a probe should: None while answers come at once."""
        staleness = self._topic_fold.staleness()
        if staleness is not None and staleness > self._freshness:
            return f"the ledger is {staleness:.0f} s behind"
        return self._topic_fold.waiting_for()

    async def forget_old(self, *, window: timedelta | None) -> None:
        """Drop, for ever, what the topic has dropped: outcomes older than the dedupe window."""
        while window is not None:
            oldest_ms = int((time.time() - window.total_seconds()) * 1000)
            await self._store.write([("DELETE FROM outcomes WHERE recorded_ms < ?", (oldest_ms,))])
            await asyncio.sleep(_HOUR)
        await asyncio.Event().wait()


def _fold(record: IncomingRecord) -> Iterable[tuple[str, Sequence[Any]]]:
    if record.value is None:
        return
    try:
        published = decode_status(record)
    except ForeignRecordError as e:
        _log.warning("foreign record on the results topic", error=str(e))
        return
    if isinstance(published, RefusalNotice) or not published.event.terminal:
        return
    yield _upsert(published, recorded_ms=record.timestamp_ms)


def _upsert(published: PublishedEvent, *, recorded_ms: int) -> tuple[str, Sequence[Any]]:
    """The first outcome spends the id; a later attempt of the same run changes only the phase."""
    event = published.event
    return (
        """
        INSERT INTO outcomes (tenant, run_id, fingerprint, phase, event_id, recorded_ms)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (tenant, run_id) DO UPDATE SET
            phase = excluded.phase, event_id = excluded.event_id, recorded_ms = excluded.recorded_ms
        """,
        (
            event.tenant,
            event.run_id,
            published.fingerprint,
            event.phase,
            event.event_id,
            recorded_ms,
        ),
    )
