"""SQLite statements that are carried out for many rows in one step.

sqlite3 releases the interpreter for each step of a statement. If another thread needs it then,
as that of the event loop does, each step waits for up to 5 ms (`sys.setswitchinterval`).
`executemany` makes a step for each row; a statement here makes one for up to 64.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

__all__ = ["ManyRows"]

# SQLite keeps compiled statements by their text: few sizes are compiled once and for all.
_SIZES: Final = (64, 8, 1)


class ManyRows:
    """A statement whose text has `{rows}` where a list of rows of `width` values belongs."""

    def __init__(self, sql: str, *, width: int) -> None:
        row = f"({', '.join('?' * width)})"
        self._statements = tuple(
            (size, sql.replace("{rows}", ", ".join([row] * size))) for size in _SIZES
        )

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Carry the statement out for all rows, in their order."""
        done = 0
        for size, statement in self._statements:
            while len(rows) - done >= size:
                values = list(chain.from_iterable(rows[done : done + size]))
                connection.execute(statement, values)
                done += size
