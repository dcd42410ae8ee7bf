"""What is projected: the tables, and how records become rows."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice_contracts.records import IncomingRecord

__all__ = ["Projection"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Projection(Generic[T]):
    """A projection into tables of one SQLite file.

    Attributes:
        tables: the SQL that creates the tables, each with IF NOT EXISTS.
        version: to be raised with every change of tables or projection: the file is then rebuilt.
        decode: returns what a record says, None if that is nothing. Runs on the event loop.
        write: writes what a batch of records says, within a transaction. Runs on a thread.
        expire: deletes rows whose records the topics have deleted: those below `first_offset` of
            their partition in the table `log_starts (topic, partition, first_offset)`. Returns
            whether more are left, for another transaction. Runs on a thread.
    """

    tables: str
    version: int
    decode: Callable[[IncomingRecord], T | None]
    write: Callable[[sqlite3.Connection, Sequence[T]], None]
    expire: Callable[[sqlite3.Connection], bool]
