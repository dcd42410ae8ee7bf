"""A small projection for tests: the count of each word, and the last value of each key."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from sluice_contracts.records import IncomingRecord
from sluice_runtime.projection.sqlite_store import SqliteStore

TABLES = """
CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, seen INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB UNIQUE, word TEXT
);
CREATE INDEX IF NOT EXISTS keys_by_word ON keys (word);
"""

Rows = list[tuple[Any, ...]]


def project(record: IncomingRecord) -> Iterable[tuple[str, Sequence[Any]]]:
    """Count the word, and store it under its key; this is not idempotent."""
    word = (record.value or b"").decode()
    yield "INSERT INTO words VALUES (?, 1) ON CONFLICT DO UPDATE SET seen = seen + 1", (word,)
    if record.key is not None:
        yield (
            "INSERT INTO keys (name, word) VALUES (?, ?) ON CONFLICT DO UPDATE SET word = ?",
            (record.key, word, word),
        )


def open_store(path: Path, *, version: int = 1) -> AbstractAsyncContextManager[SqliteStore]:
    return SqliteStore.open(path, tables=TABLES, version=version, project=project)


async def words(store: SqliteStore) -> dict[str, int]:
    rows: Rows = await store.read("SELECT word, seen FROM words ORDER BY word")
    return {str(word): int(seen) for word, seen in rows}


async def everything(store: SqliteStore) -> tuple[Rows, Rows, dict[tuple[str, int], int]]:
    return (
        await store.read("SELECT word, seen FROM words ORDER BY word"),
        await store.read("SELECT name, word FROM keys ORDER BY name"),
        await store.offsets(),
    )
