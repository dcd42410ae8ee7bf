"""A small projection for tests: the count of each word, and the last value of each key."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from sluice_contracts.records import IncomingRecord
from sluice_runtime.projection.projection import Projection
from sluice_runtime.projection.sqlite_store import SqliteStore

TABLES = """
CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, seen INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB UNIQUE, word TEXT
);
CREATE INDEX IF NOT EXISTS keys_by_word ON keys (word);
"""

Rows = list[tuple[Any, ...]]


Seen = tuple[str, bytes | None]


def decode(record: IncomingRecord) -> Seen:
    """Return the word and its key."""
    return (record.value or b"").decode(), record.key


def write(connection: sqlite3.Connection, seen: Sequence[Seen]) -> None:
    """Count the words, and store each under its key; this is not idempotent."""
    for word, key in seen:
        connection.execute(
            "INSERT INTO words VALUES (?, 1) ON CONFLICT DO UPDATE SET seen = seen + 1", (word,)
        )
        if key is not None:
            connection.execute(
                "INSERT INTO keys (name, word) VALUES (?, ?) ON CONFLICT DO UPDATE SET word = ?",
                (key, word, word),
            )


def projection(
    *,
    version: int = 1,
    decode: Callable[[IncomingRecord], Seen | None] = decode,
    write: Callable[[sqlite3.Connection, Sequence[Seen]], None] = write,
) -> Projection[Seen]:
    return Projection(
        tables=TABLES, version=version, decode=decode, write=write, expire=lambda _: False
    )


def open_store(path: Path, *, version: int = 1) -> AbstractAsyncContextManager[SqliteStore]:
    return SqliteStore.open(path, projection(version=version))


async def words(store: SqliteStore) -> dict[str, int]:
    rows: Rows = await store.read("SELECT word, seen FROM words ORDER BY word")
    return {str(word): int(seen) for word, seen in rows}


async def everything(store: SqliteStore) -> tuple[Rows, Rows, dict[tuple[str, int], int]]:
    return (
        await store.read("SELECT word, seen FROM words ORDER BY word"),
        await store.read("SELECT name, word FROM keys ORDER BY name"),
        await store.offsets(),
    )
