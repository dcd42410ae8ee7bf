"""Opens the SQLite file of a projection, and replaces one that is damaged or of another version."""

import sqlite3
from pathlib import Path
from typing import Final

import aiosqlite
import structlog

__all__ = [
    "StoreDamagedError",
    "StoreUnusableError",
    "is_damage",
    "open_file",
    "open_reader",
    "remove_file",
]

_log = structlog.get_logger(__name__)

# NORMAL may lose the last transactions in a power cut, with their offsets: they are redone. The log
# is copied into the file every 8,000 pages (32 MiB), because each time waits for the disk. So many
# bytes of pages are cached (16 MiB), which are those that indexes need in random order.
_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "busy_timeout = 5000",
    "wal_autocheckpoint = 8000",
    "cache_size = -16384",
)

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StoreUnusableError(Exception):
    """The file cannot be opened, although it is not damaged; the message says why."""


class StoreDamagedError(Exception):
    """The file turned out to be damaged while in use; the next start recreates it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged."""
    # The low byte is the kind, the rest its details (https://www.sqlite.org/rescode.html).
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


async def open_file(path: Path, *, version: int) -> aiosqlite.Connection:
    """Return a connection to the file; it is new if it was damaged or of another version.

    Raises:
        StoreUnusableError: it cannot be opened, although it is not damaged.
    """
    try:
        connection = await _open(path)
    except aiosqlite.DatabaseError as e:
        if not is_damage(e):
            raise StoreUnusableError(
                f"{path} cannot be opened: {e}. Check that the folder is writable and that no "
                "other process uses the file."
            ) from e
        return await _recreate(path, version=version, why=str(e))
    found = await _user_version(connection)
    if found not in (0, version):
        await connection.close()
        return await _recreate(path, version=version, why=f"its version is {found}, not {version}")
    await connection.execute(f"PRAGMA user_version = {version}")
    return connection


async def open_reader(path: Path) -> aiosqlite.Connection:
    """Return a connection that only reads, to a file that `open_file` has opened."""
    connection = await _open(path)
    await connection.execute("PRAGMA query_only = ON")
    return connection


async def _recreate(path: Path, *, version: int, why: str) -> aiosqlite.Connection:
    """Replace the file with an empty one; nothing is lost, because the topics hold all of it."""
    _log.warning("file is unusable, recreated from the topics", file=str(path), error=why)
    remove_file(path)
    connection = await _open(path)
    await connection.execute(f"PRAGMA user_version = {version}")
    return connection


def remove_file(path: Path) -> None:
    """Remove the file, and those that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


async def _open(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            await connection.execute(f"PRAGMA {pragma}")
    except aiosqlite.DatabaseError:
        await connection.close()
        raise
    return connection


async def _user_version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
