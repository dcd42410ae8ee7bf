"""Keeps the view's file below a size: what is over and oldest goes first.

The older half of the finished runs keeps its last states only; beyond that, the oldest of them are
dropped. Runs that are not over are never touched. What is dropped depends on the file alone, and
the offsets are in the same file, so nothing comes back after a restart.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from sluice_contracts.records import IncomingRecord
from sluice_gateway.adapters.run_view.dropping import drop_runs, trim_runs
from sluice_gateway.metrics import Metrics
from sluice_runtime.projection.last_records import LastRecord
from sluice_runtime.projection.projector import ProjectionStore
from sluice_runtime.projection.sqlite_store import SqliteStore

__all__ = ["BoundedStore", "ViewSizeLimit"]

_log = structlog.get_logger(__name__)

# Runs per transaction at most, so that readers come in between.
_BATCH: Final = 500

# Free pages are used again before the file grows.
_PAGES_IN_USE: Final = """
SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()
"""

_FINISHED: Final = """
SELECT (SELECT COUNT(*) FROM runs WHERE terminal AND NOT trimmed),
       (SELECT COUNT(*) FROM runs WHERE terminal AND trimmed)
"""

_OLDEST_WHOLE: Final = """
SELECT number FROM runs WHERE terminal AND NOT trimmed ORDER BY status_ms LIMIT ?
"""

_OLDEST_TRIMMED: Final = """
SELECT number FROM runs WHERE terminal AND trimmed ORDER BY status_ms LIMIT ?
"""


class ViewSizeLimit:
    """Bounds the file at `path` to `max_bytes`: pages in use and write-ahead log."""

    def __init__(self, store: SqliteStore, path: Path, *, max_bytes: int, metrics: Metrics) -> None:
        self._store = store
        self._wal = path.with_name(f"{path.name}-wal")
        self._max_bytes = max_bytes
        # Some room at once, so that not every record has to drop one.
        self._enough = max_bytes - max_bytes // 20
        self._metrics = metrics
        self._exceeded = False
        metrics.view_limit_bytes.set(max_bytes)

    async def keep(self) -> None:
        """Drop what is oldest, if the file has passed its limit; to be called after every write.

        What is left may still be more, if it is all of runs that are not over.
        """
        size = await self._size()
        if size > self._max_bytes:
            size = await self._shrink()
        self._metrics.view_bytes.set(size)
        exceeded = size > self._max_bytes
        if exceeded and not self._exceeded:
            _log.warning(
                "the view is larger than view.max_bytes, and holds no finished runs to drop",
                bytes=size,
                max_bytes=self._max_bytes,
            )
        self._exceeded = exceeded

    async def _shrink(self) -> int:
        await self._store.truncate_log()
        size = await self._size()
        [(whole, trimmed)] = await self._store.read(_FINISHED)
        while size > self._enough and whole + trimmed:
            # No more than the difference makes, where runs are few and large.
            batch = min(_BATCH, 1 + (whole + trimmed) // 20)
            if whole > trimmed:
                runs = min(batch, (whole - trimmed + 1) // 2)
                await self._store.transact(_of_oldest(_OLDEST_WHOLE, runs, then=trim_runs))
                whole, trimmed = whole - runs, trimmed + runs
                self._metrics.view_trimmed_runs.inc(runs)
            else:
                runs = min(batch, trimmed)
                await self._store.transact(_of_oldest(_OLDEST_TRIMMED, runs, then=drop_runs))
                trimmed -= runs
                self._metrics.view_dropped_runs.inc(runs)
            if not await self._store.truncate_log():
                # The log counts, so that more would be dropped than has to be.
                break
            size = await self._size()
        return size

    async def _size(self) -> int:
        [(pages,)] = await self._store.read(_PAGES_IN_USE)
        wal = self._wal.stat().st_size if self._wal.exists() else 0
        return int(pages) + wal


class BoundedStore:
    """A `ProjectionStore` that keeps its bounds after every write, however far behind it is."""

    def __init__(self, store: ProjectionStore, *, bounds: ViewSizeLimit) -> None:
        self._store = store
        self._bounds = bounds

    async def offsets(self) -> dict[tuple[str, int], int]:
        """See `ProjectionStore.offsets`."""
        # The limit may be lower than it was when the file was written.
        await self._bounds.keep()
        return await self._store.offsets()

    async def last_records(self) -> dict[tuple[str, int], LastRecord]:
        """See `ProjectionStore.last_records`."""
        return await self._store.last_records()

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """See `ProjectionStore.prepare`."""
        write = await self._store.prepare(records)

        async def write_within_bounds() -> None:
            await write()
            await self._bounds.keep()

        return write_within_bounds

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """See `ProjectionStore.expire`."""
        await self._store.expire(starts)

    async def forget(self) -> None:
        """See `ProjectionStore.forget`."""
        await self._store.forget()


def _of_oldest(
    which: str, runs: int, *, then: Callable[[sqlite3.Connection, Sequence[int]], None]
) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        then(connection, [number for (number,) in connection.execute(which, (runs,))])

    return work
