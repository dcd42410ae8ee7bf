"""How runs leave the view, or all of their events but the last one; within a transaction."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

__all__ = ["drop_runs", "trim_runs"]

_THESE: Final = "number IN (SELECT value FROM json_each(?))"

# A stream of all events cannot resume before the last one that was dropped.
_NOTE_MISSING: Final = """
INSERT INTO whole_from
SELECT partition, MAX(offset) + 1 FROM events JOIN json_each(?) ON value = number
WHERE {which} GROUP BY partition
ON CONFLICT (partition) DO UPDATE SET offset = MAX(offset, excluded.offset)
"""

_NOT_THE_LAST: Final = """
sequence < (SELECT runs.sequence FROM runs WHERE runs.number = events.number)
"""

# What is left is written again, close together: a page with one small event on it frees nothing.
_TRIM: Final = (
    _NOTE_MISSING.format(which=_NOT_THE_LAST),
    f"""
UPDATE runs SET trimmed = 1, dropped_sequence = COALESCE(
    (SELECT MAX(events.sequence) FROM events
     WHERE events.number = runs.number AND events.sequence < runs.sequence), dropped_sequence)
WHERE {_THESE}
""",  # noqa: S608
    f"DELETE FROM events WHERE {_THESE} AND {_NOT_THE_LAST}",  # noqa: S608
    f"INSERT OR REPLACE INTO events SELECT * FROM events WHERE {_THESE}",  # noqa: S608
)

_DROP: Final = (
    _NOTE_MISSING.format(which="TRUE"),
    f"INSERT INTO ids (ids, rowid, run_id) SELECT 'delete', number, run_id FROM runs WHERE {_THESE}",  # noqa: E501, S608
    *(
        f"DELETE FROM {table} WHERE {_THESE}"  # noqa: S608
        for table in ("events", "steps", "parameters", "labels", "runs")
    ),
    "DELETE FROM kinds WHERE runs = 0 AND ? IS NOT NULL",
)


def trim_runs(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete all events of these runs but the last one of each."""
    _run(connection, _TRIM, numbers)


def drop_runs(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete these runs and all that belongs to them."""
    _run(connection, _DROP, numbers)


def _run(
    connection: sqlite3.Connection, statements: tuple[str, ...], numbers: Sequence[int]
) -> None:
    wanted = (json.dumps(numbers),)
    for sql in statements:
        connection.execute(sql, wanted)
