"""Statements for many rows in one step."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from sluice_runtime.projection.many_rows import ManyRows

INSERT = ManyRows("INSERT INTO numbers (number, text) VALUES {rows}", width=2)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER, text TEXT)")
        yield connection


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 63, 64, 65, 136, 500])
def test_each_row_is_written_once_and_in_order(connection: sqlite3.Connection, count: int) -> None:
    rows = [(number, f"text {number}") for number in range(count)]
    INSERT.run(connection, rows)
    assert connection.execute("SELECT * FROM numbers ORDER BY rowid").fetchall() == rows


def test_five_hundred_rows_take_seventeen_steps(connection: sqlite3.Connection) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    INSERT.run(connection, [(number, "") for number in range(500)])
    assert len(statements) == 7 + 6 + 4


def test_a_statement_that_fails_raises(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX once ON numbers (number)")
    with pytest.raises(sqlite3.IntegrityError):
        INSERT.run(connection, [(1, "")] * 8)
    assert connection.execute("SELECT COUNT(*) FROM numbers").fetchall() == [(0,)]
