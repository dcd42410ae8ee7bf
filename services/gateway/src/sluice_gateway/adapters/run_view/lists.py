"""Lists of runs and their counts.

A list is read in its order from the index that fits the query best, unless so few runs can be
meant that all of them are looked at.
"""

import heapq
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.list_sql import (
    SUMMARY,
    Conditions,
    conditions_of,
    joined,
    summary_of,
)
from sluice_gateway.domain.run_query import RunFilter, RunPage, RunPlace

__all__ = ["count_runs", "list_runs"]

# All of so many runs are looked at and sorted.
_FEW: Final = 2000
# More are not merged, but picked from all runs in order.
_MOST_KINDS: Final = 300
# A trigram has three characters.
_SHORTEST_TEXT: Final = 3

_NEWEST_FIRST: Final = "ORDER BY place_ms DESC, tenant DESC, run_id DESC LIMIT ?"
_THESE: Final = "number IN (SELECT value FROM json_each(?))"

_Kind = tuple[str, str, str]


def list_runs(
    connection: sqlite3.Connection, query: RunFilter, *, before: RunPlace | None, limit: int
) -> RunPage:
    """See `RunView.list`."""
    conditions = conditions_of(query, before=before)
    rows = _rows(connection, query, conditions, limit=limit + 1)
    runs = tuple(summary_of(row) for row in rows[:limit])
    return RunPage(runs=runs, next=runs[-1].place if len(rows) > limit else None)


def count_runs(connection: sqlite3.Connection, query: RunFilter) -> Mapping[Phase, int]:
    """See `RunView.count`."""
    if query == RunFilter(tenant=query.tenant, workflow=query.workflow, phases=query.phases):
        where, arguments = joined(_kind_conditions(query))
        sql = f"SELECT phase, SUM(runs) FROM kinds WHERE {where} AND runs > 0 GROUP BY phase"  # noqa: S608
    else:
        conditions = conditions_of(query, before=None)
        few = _few(connection, query)
        if few is not None:
            conditions = [(_THESE, [json.dumps(few)]), *conditions]
        where, arguments = joined(conditions)
        sql = f"SELECT phase, COUNT(*) FROM runs WHERE {where} GROUP BY phase"  # noqa: S608
    return {Phase(phase): number for phase, number in connection.execute(sql, arguments)}


def _rows(
    connection: sqlite3.Connection, query: RunFilter, conditions: Conditions, *, limit: int
) -> Sequence[Any]:
    few = _few(connection, query)
    if few is not None:
        return _of_these(connection, few, conditions, limit=limit)
    equal = [label for label in query.labels if label.equal]
    where, arguments = joined(conditions)
    if equal:
        # The sort of runs of the same millisecond is all that is left to do.
        sql = f"""
            {SUMMARY} JOIN labels USING (number, place_ms)
            WHERE labels.name = ? AND labels.value = ? AND {where} {_NEWEST_FIRST}
        """
        return connection.execute(
            sql, [equal[0].name, equal[0].value, *arguments, limit]
        ).fetchall()
    kinds = _kinds(connection, query)
    if kinds is not None:
        return _merged(connection, kinds, conditions, limit=limit)
    sql = f"{SUMMARY} INDEXED BY runs_newest_first WHERE {where} {_NEWEST_FIRST}"
    return connection.execute(sql, [*arguments, limit]).fetchall()


def _few(connection: sqlite3.Connection, query: RunFilter) -> list[int] | None:
    """Return the numbers of the runs that one condition leaves, if they are few."""
    if query.text is not None and len(query.text) >= _SHORTEST_TEXT:
        found = _up_to_few(connection, "ids", "ids MATCH ?", [_trigrams(query.text)])
        if found is not None:
            return found
    for label in query.labels:
        if label.equal:
            found = _up_to_few(
                connection, "labels", "name = ? AND value = ?", [label.name, label.value]
            )
            if found is not None:
                return found
    if query.workflow is not None or query.phases:
        where, arguments = joined(_kind_conditions(query))
        sql = f"SELECT COALESCE(SUM(runs), 0) FROM kinds WHERE {where}"  # noqa: S608
        [(number,)] = connection.execute(sql, arguments)
        if number <= _FEW:
            return [
                number
                for kind in _kinds(connection, query, most=_FEW) or ()
                for (number,) in connection.execute(_OF_KIND, kind)
            ]
    return None


def _up_to_few(
    connection: sqlite3.Connection, table: str, where: str, arguments: Sequence[Any]
) -> list[int] | None:
    column = "rowid" if table == "ids" else "number"
    sql = f"SELECT {column} FROM {table} WHERE {where} LIMIT ?"  # noqa: S608
    found = [number for (number,) in connection.execute(sql, [*arguments, _FEW + 1])]
    return found if len(found) <= _FEW else None


def _trigrams(text: str) -> str:
    """Return the query for ids with all of the text's trigrams."""
    parts = {text[at : at + _SHORTEST_TEXT] for at in range(len(text) - _SHORTEST_TEXT + 1)}
    return " AND ".join('"{}"'.format(part.replace('"', '""')) for part in sorted(parts))


_OF_KIND: Final = """
SELECT number FROM runs WHERE tenant = ? AND workflow IS NULLIF(?, '') AND phase = ?
"""


def _of_these(
    connection: sqlite3.Connection, numbers: Sequence[int], conditions: Conditions, *, limit: int
) -> Sequence[Any]:
    where, arguments = joined([(_THESE, [json.dumps(numbers)]), *conditions])
    # Each by its number: an index would look at more than these.
    sql = f"{SUMMARY} NOT INDEXED WHERE {where} {_NEWEST_FIRST}"
    return connection.execute(sql, [*arguments, limit]).fetchall()


def _kind_conditions(query: RunFilter) -> Conditions:
    conditions: Conditions = []
    if query.tenant is not None:
        conditions.append(("tenant = ?", [query.tenant]))
    if query.workflow is not None:
        conditions.append(("workflow = ?", [query.workflow]))
    if query.phases:
        marks = ", ".join("?" for _ in query.phases)
        conditions.append((f"phase IN ({marks})", sorted(query.phases)))
    return conditions


def _kinds(
    connection: sqlite3.Connection, query: RunFilter, *, most: int = _MOST_KINDS
) -> list[_Kind] | None:
    """Return the kinds of runs that the query is about; None if it is about all or too many."""
    conditions = _kind_conditions(query)
    if not conditions:
        return None
    where, arguments = joined(conditions)
    sql = f"SELECT tenant, workflow, phase FROM kinds WHERE {where} AND runs > 0 LIMIT ?"  # noqa: S608
    kinds = connection.execute(sql, [*arguments, most + 1]).fetchall()
    return kinds if len(kinds) <= most else None


def _merged(
    connection: sqlite3.Connection,
    kinds: Sequence[_Kind],
    conditions: Conditions,
    *,
    limit: int,
) -> Sequence[Any]:
    """Return the newest of all kinds, of which each is in order."""
    where, arguments = joined(conditions)
    sql = f"""
        SELECT place_ms, tenant, run_id, number FROM runs INDEXED BY runs_by_kind
        WHERE tenant = ? AND workflow IS NULLIF(?, '') AND phase = ? AND {where}
        AND place_ms >= ? ORDER BY place_ms DESC, run_id DESC LIMIT ?
    """  # noqa: S608
    newest: list[Any] = []
    for kind in kinds:
        # Older ones than those that are found already are of no use.
        oldest = newest[-1][0] if len(newest) == limit else -(2**63)
        found = connection.execute(sql, [*kind, *arguments, oldest, limit])
        newest = heapq.nlargest(limit, [*newest, *found])
    numbers = [number for *_, number in newest]
    return _of_these(connection, numbers, [], limit=limit)
