"""A SQLite file that a topic is folded into."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import aiosqlite
import structlog

from sluice_contracts.records import IncomingRecord

__all__ = ["Fold", "SqliteStore"]

_log = structlog.get_logger(__name__)

_OFFSETS = """
CREATE TABLE IF NOT EXISTS folded_offsets (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID
"""

Fold = Callable[[IncomingRecord], Iterable[tuple[str, Sequence[Any]]]]
"""Turns one record into the SQL statements, with their arguments, that fold it in."""


class SqliteStore:
    """Folds records into tables of one file, offsets in the same transaction (WAL mode)."""

    def __init__(self, connection: aiosqlite.Connection, *, tables: str, fold: Fold) -> None:
        self._connection = connection
        self._tables = tables
        self._fold = fold

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, path: Path, *, tables: str, version: int, fold: Fold
    ) -> "AsyncIterator[SqliteStore]":
        """Open the file, made anew if it is missing, damaged or of another version.

        `tables` is the SQL that makes the tables, each with IF NOT EXISTS.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = await _connect(path, version=version)
        try:
            store = cls(connection, tables=tables, fold=fold)
            await store._create()
            yield store
        finally:
            await connection.close()

    async def read(self, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
        """Give all rows of a query."""
        async with self._connection.execute(sql, arguments) as cursor:
            return list(await cursor.fetchall())

    async def offsets(self) -> dict[tuple[str, int], int]:
        """See `FoldStore.offsets`."""
        rows = await self.read("SELECT topic, partition, next_offset FROM folded_offsets")
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def apply(self, records: Sequence[IncomingRecord]) -> None:
        """See `FoldStore.apply`."""
        statements = [statement for record in records for statement in self._fold(record)]
        ends: dict[tuple[str, int], int] = {}
        for record in records:
            position = record.position
            ends[position.topic, position.partition] = position.offset + 1
        statements += [
            ("INSERT OR REPLACE INTO folded_offsets VALUES (?, ?, ?)", (*place, end))
            for place, end in ends.items()
        ]
        await self.write(statements)

    async def write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Run the statements as one transaction."""
        # One hop to the connection's thread for all of them.
        run: Any = self._connection._execute  # noqa: SLF001
        await run(_transaction, self._connection._conn, list(statements))  # noqa: SLF001

    async def forget(self) -> None:
        """See `FoldStore.forget`."""
        rows = await self.read("SELECT name FROM sqlite_master WHERE type = 'table'")
        await self.write([(f'DROP TABLE "{name}"', ()) for (name,) in rows])
        await self._create()

    async def _create(self) -> None:
        await self._connection.executescript(f"{_OFFSETS};\n{self._tables}")


def _transaction(connection: Any, statements: list[tuple[str, Sequence[Any]]]) -> None:  # noqa: ANN401
    with connection:
        connection.execute("BEGIN")
        for sql, arguments in statements:
            connection.execute(sql, arguments)


async def _connect(path: Path, *, version: int) -> aiosqlite.Connection:
    try:
        connection = await _open(path)
        found = await _user_version(connection)
    except aiosqlite.DatabaseError as e:
        return await _anew(path, version=version, why=str(e))
    if found not in (0, version):
        await connection.close()
        return await _anew(path, version=version, why=f"its version is {found}, not {version}")
    await connection.execute(f"PRAGMA user_version = {version}")
    return connection


async def _anew(path: Path, *, version: int, why: str) -> aiosqlite.Connection:
    """Nothing is lost with the file: the topics hold it all."""
    _log.warning("file cannot be used, made anew from the topics", file=str(path), why=why)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    connection = await _open(path)
    await connection.execute(f"PRAGMA user_version = {version}")
    return connection


async def _open(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        # NORMAL may lose the last transactions in a power cut, offsets with them: they are redone.
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 5000"):
            await connection.execute(f"PRAGMA {pragma}")
    except aiosqlite.DatabaseError:
        await connection.close()
        raise
    return connection


async def _user_version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
