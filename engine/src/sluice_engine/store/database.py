"""The data folder's SQLite file: every object as JSON, and the resource version counter."""

import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

__all__ = ["DataFolderError", "Database"]

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (resource, namespace, name)
);
CREATE TABLE counter (version INTEGER NOT NULL);
INSERT INTO counter VALUES (1);
"""


class DataFolderError(Exception):
    """The data folder cannot be used; the message says what to do."""


class Database:
    """Rows of objects.

    It is called on the event loop on purpose: in WAL mode a commit without fsync takes some tens
    of microseconds, less than handing it to a thread, and a change of an object stays one
    uninterrupted piece. A commit survives SIGKILL of the process; only a power cut may lose the
    last ones.

    Raises:
        DataFolderError: the folder is not writable, in use, or its database is broken.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = _lock(folder)
        path = folder / "engine.sqlite3"
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._open()
        except sqlite3.DatabaseError as e:
            self._lock.close()
            raise DataFolderError(
                f"the database of the local engine at {path} cannot be read ({e}). "
                f"Remove the folder {folder} to start again; its Workflows are lost then."
            ) from e

    def _open(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA cache_size = -4096")
        if (found := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        version = run("PRAGMA user_version").fetchone()[0]
        if version not in {0, _SCHEMA_VERSION}:
            message = f"its format is {version}, this engine knows {_SCHEMA_VERSION}"
            raise sqlite3.DatabaseError(message)
        if version == 0:
            self._connection.executescript(
                f"BEGIN;{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};COMMIT;"
            )

    def version(self) -> int:
        """Return the highest resource version ever given."""
        return int(self._connection.execute("SELECT version FROM counter").fetchone()[0])

    def rows(self) -> Iterator[tuple[str, str, str, bytes]]:
        """Yield resource, namespace, name and body of every object."""
        yield from self._connection.execute("SELECT resource, namespace, name, body FROM objects")

    def body(self, resource: str, namespace: str, name: str) -> bytes:
        """Return the body of an object that exists."""
        row = self._connection.execute(
            "SELECT body FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            (resource, namespace, name),
        ).fetchone()
        return bytes(row[0])

    def save(
        self, resource: str, namespace: str, name: str, body: bytes | None, *, version: int
    ) -> None:
        """Store a body, or remove the row if it is None, together with the counter."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            if body is None:
                run(
                    "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                    (resource, namespace, name),
                )
            else:
                run(
                    "INSERT INTO objects VALUES (?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET body = excluded.body",
                    (resource, namespace, name, body),
                )
            run("UPDATE counter SET version = ?", (version,))
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file and release the folder for another engine."""
        self._connection.close()
        self._lock.close()


def _lock(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as e:
        raise DataFolderError(
            f"the data folder {folder} cannot be used ({e.strerror}). "
            "Name another one with --data-dir, or make it a writable folder."
        ) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        lock.close()
        raise DataFolderError(
            f"the data folder {folder} is in use by another local engine. "
            "Stop that one, or name another folder with --data-dir."
        ) from e
    return lock
