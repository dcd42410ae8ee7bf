"""The SQLite file of a projection."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from sluice_contracts.records import IncomingRecord
from sluice_runtime.projection.last_records import LastRecord
from sluice_runtime.projection.projection import Projection
from sluice_runtime.projection.sqlite_file import (
    StoreDamagedError,
    is_damage,
    open_file,
    open_reader,
    remove_file,
)

__all__ = ["SqliteStore"]

_OFFSETS = """
CREATE TABLE IF NOT EXISTS projected_offsets (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_records (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_starts (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID
"""

_NOTE_OFFSET = "INSERT OR REPLACE INTO projected_offsets VALUES (?, ?, ?)"
_NOTE_LAST = "INSERT OR REPLACE INTO last_records VALUES (?, ?, ?, ?)"

T = TypeVar("T")

_PAUSE_AFTER_BYTES = 64 * 1024


@dataclass(kw_only=True)
class _Batch:
    """Changes to be written together. What fails is tried again by the next one who waits."""

    changes: list[Any] = field(default_factory=list)
    written: bool = False


class SqliteStore:
    """Projects records into tables of one file, with offsets in the same transaction (WAL mode).

    Reads have a connection of their own: they see what is committed, and do not wait for a write.
    """

    def __init__(
        self,
        *,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        projection: Projection[Any],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._projection = projection
        self._damage = asyncio.Event()
        self._noted = _Batch()
        self._noting = asyncio.Lock()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, projection: Projection[Any]) -> "AsyncIterator[SqliteStore]":
        """Open the file, and recreate it if it is missing, damaged or of another version.

        A file that turns out to be damaged while in use is removed on exit, so that the next start
        recreates it.

        Raises:
            StoreUnusableError: the file cannot be opened, although it is not damaged.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        async with contextlib.AsyncExitStack() as stack:
            writer = await open_file(path, version=projection.version)
            stack.push_async_callback(writer.close)
            reader = await open_reader(path)
            stack.push_async_callback(reader.close)
            store = cls(writer=writer, reader=reader, projection=projection)
            try:
                await store._write(sqlite3.Connection.executescript, _schema_of(projection))
                yield store
            finally:
                await stack.aclose()
                if store._damage.is_set():
                    remove_file(path)

    async def watch_for_damage(self) -> None:
        """Wait until damage is found; the error then ends the process.

        Raises:
            StoreDamagedError: always.
        """
        await self._damage.wait()
        raise StoreDamagedError("The file is damaged; the next start recreates it.")

    async def read(self, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query."""
        rows: list[Any] = await self._read(_all_rows, sql, arguments)
        return rows

    async def read_some(
        self, sql: str, arguments: Sequence[Any], *, most: int, size: Callable[[Any], int]
    ) -> list[Any]:
        """Return the rows of a query up to the one with which their sizes reach `most`."""
        rows: list[Any] = await self._read(_some_rows, sql, arguments, most, size)
        return rows

    async def offsets(self) -> dict[tuple[str, int], int]:
        """See `ProjectionStore.offsets`."""
        rows = await self.read("SELECT topic, partition, next_offset FROM projected_offsets")
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def last_records(self) -> dict[tuple[str, int], LastRecord]:
        """See `ProjectionStore.last_records`."""
        rows = await self.read("SELECT topic, partition, offset, timestamp_ms FROM last_records")
        return {
            (topic, partition): LastRecord(offset, timestamp_ms)
            for topic, partition, offset, timestamp_ms in rows
        }

    async def prepare(self, records: Sequence[IncomingRecord]) -> Callable[[], Awaitable[None]]:
        """See `ProjectionStore.prepare`."""
        changes = []
        since_pause = 0
        for record in records:
            if (change := self._projection.decode(record)) is not None:
                changes.append(change)
            since_pause += len(record.value or b"")
            if since_pause >= _PAUSE_AFTER_BYTES:
                # Hundreds of large records without a pause would block the event loop for seconds.
                since_pause = 0
                await asyncio.sleep(0)
        last = {(each.position.topic, each.position.partition): each for each in records}

        def write(connection: sqlite3.Connection) -> None:
            self._projection.write(connection, changes)
            connection.executemany(_NOTE_OFFSET, [_offset_after(each) for each in last.values()])
            connection.executemany(_NOTE_LAST, [_last_record(each) for each in last.values()])

        return partial(self.transact, write)

    async def note(self, change: Any) -> None:  # noqa: ANN401 - of the projection's type
        """Write a change before its record is read; those noted meanwhile share a transaction."""
        batch = self._noted
        batch.changes.append(change)
        async with self._noting:
            if not batch.written:
                self._noted, write = _Batch(), self._projection.write
                await self.transact(lambda connection: write(connection, batch.changes))
                batch.written = True

    async def expire(self, starts: Mapping[tuple[str, int], int]) -> None:
        """See `ProjectionStore.expire`."""

        def write(connection: sqlite3.Connection) -> bool:
            connection.executemany(
                "INSERT OR REPLACE INTO log_starts VALUES (?, ?, ?)",
                [(*place, first) for place, first in starts.items()],
            )
            return self._projection.expire(connection)

        while await self.transact(write):
            pass

    async def query(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Call `read` on the reader's thread; all that it reads is of one moment."""
        result: T = await self._read(_snapshot, read)
        return result

    async def transact(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Call `write` on the writer's thread within a transaction, and return its result."""
        result: T = await self._write(_transaction, write)
        return result

    async def truncate_log(self) -> bool:
        """Copy the write-ahead log into the file and empty it; return whether that succeeded.

        It fails if somebody has read for longer than the busy timeout.
        """
        [(busy, _, _)] = await self._write(_all_rows, "PRAGMA wal_checkpoint(TRUNCATE)", ())
        return not busy

    async def forget(self) -> None:
        """See `ProjectionStore.forget`."""
        await self._write(_recreate_tables, _schema_of(self._projection))

    async def _read(self, work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - as aiosqlite
        return await self._run(self._reader, work, *arguments)

    async def _write(self, work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - as aiosqlite
        return await self._run(self._writer, work, *arguments)

    async def _run(
        self,
        connection: aiosqlite.Connection,
        work: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401 - as aiosqlite
    ) -> Any:  # noqa: ANN401 - as aiosqlite
        """Run `work` on the connection's thread in one call, so that nothing runs in between."""
        run: Any = connection._execute  # noqa: SLF001
        try:
            return await run(work, connection._conn, *arguments)  # noqa: SLF001
        except sqlite3.DatabaseError as e:
            if is_damage(e):
                self._damage.set()
            raise


def _all_rows(connection: sqlite3.Connection, sql: str, arguments: Sequence[Any]) -> list[Any]:
    return connection.execute(sql, arguments).fetchall()


def _some_rows(
    connection: sqlite3.Connection,
    sql: str,
    arguments: Sequence[Any],
    most: int,
    size: Callable[[Any], int],
) -> list[Any]:
    rows = []
    with contextlib.closing(connection.execute(sql, arguments)) as cursor:
        for row in cursor:
            rows.append(row)
            most -= size(row)
            if most <= 0:
                break
    return rows


def _transaction(connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        return write(connection)


def _snapshot(connection: sqlite3.Connection, read: Callable[[sqlite3.Connection], T]) -> T:
    with connection:
        connection.execute("BEGIN")
        return read(connection)


def _schema_of(projection: Projection[Any]) -> str:
    return f"{_OFFSETS};\n{projection.tables}"


def _recreate_tables(connection: sqlite3.Connection, schema: str) -> None:
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    with connection:
        # Readers must not see the file without its tables: all of it is one transaction.
        connection.execute("BEGIN IMMEDIATE")
        # A virtual table takes the tables with it that it is made of.
        for which in (f"{names} AND sql LIKE 'CREATE VIRTUAL %'", names):
            for (name,) in _all_rows(connection, which, ()):
                connection.execute(f'DROP TABLE "{name}"')
        for statement in _statements(schema):
            connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would commit before it."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _offset_after(record: IncomingRecord) -> tuple[str, int, int]:
    position = record.position
    return (position.topic, position.partition, position.offset + 1)


def _last_record(record: IncomingRecord) -> tuple[str, int, int, int]:
    position = record.position
    return (position.topic, position.partition, position.offset, record.timestamp_ms)
