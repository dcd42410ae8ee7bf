"""Lists of runs and their counts.

A list is read in its order from the index that fits the query best, unless so few runs can be
meant that all of them are looked at.
"""

import heapq
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.list_sql import (
    SUMMARY,
    Conditions,
    conditions_of,
    joined,
    places_of,
    summary_of,
    within_of,
)
from sluice_gateway.domain.run_query import (
    KindCount,
    LabelTest,
    RunFilter,
    RunPage,
    RunPlace,
)

__all__ = ["count_kinds", "count_runs", "list_runs"]

# All of so many runs are looked at and sorted.
_FEW: Final = 1000
# More are not merged, but picked from all runs in order.
_MOST_KINDS: Final = 300
# A trigram has three characters.
_SHORTEST_TEXT: Final = 3
# More of a text are not looked up, but compared.
_MOST_CHARACTERS: Final = 12

_NEWEST_FIRST: Final = "ORDER BY place_ms DESC, tenant DESC, run_id DESC LIMIT ?"
_THESE: Final = "number IN (SELECT value FROM json_each(?))"

# CROSS JOIN says that the labels come first.
_LABELLED: Final = "labels CROSS JOIN runs ON runs.number = labels.number"

_Kind = tuple[str, str, str]


def list_runs(
    connection: sqlite3.Connection, query: RunFilter, *, before: RunPlace | None, limit: int
) -> RunPage:
    """See `RunView.list`."""
    rows = _rows(connection, query, before=before, limit=limit + 1)
    runs = tuple(summary_of(row) for row in rows[:limit])
    return RunPage(runs=runs, next=runs[-1].place if len(rows) > limit else None)


def count_runs(connection: sqlite3.Connection, query: RunFilter) -> Mapping[Phase, int]:
    """See `RunView.count`."""
    of_kinds = RunFilter(
        tenant=query.tenant, workflow=query.workflow, phases=query.phases, within=query.within
    )
    if query == of_kinds:
        where, arguments = joined(_kind_conditions(query))
        sql = f"SELECT phase, SUM(runs) FROM kinds WHERE {where} AND runs > 0 GROUP BY phase"  # noqa: S608
    else:
        few, label = _few(connection, query), _first_equal(query)
        if few is not None:
            source = "runs"
            conditions = [(_THESE, [json.dumps(few)]), *conditions_of(query, before=None)]
        elif label is not None:
            source, conditions = _LABELLED, _labelled(query, label, before=None)
        else:
            source, conditions = "runs", conditions_of(query, before=None)
        where, arguments = joined(conditions)
        sql = f"SELECT phase, COUNT(*) FROM {source} WHERE {where} GROUP BY phase"  # noqa: S608
    return {Phase(phase): number for phase, number in connection.execute(sql, arguments)}


def count_kinds(connection: sqlite3.Connection, query: RunFilter) -> Sequence[KindCount]:
    """See `RunView.count_kinds`."""
    where, arguments = joined(_kind_conditions(query))
    sql = f"SELECT tenant, workflow, phase, runs FROM kinds WHERE {where} AND runs > 0"  # noqa: S608
    return [
        KindCount(tenant, workflow or None, Phase(phase), runs)
        for tenant, workflow, phase, runs in connection.execute(sql, arguments)
    ]


def _rows(
    connection: sqlite3.Connection, query: RunFilter, *, before: RunPlace | None, limit: int
) -> Sequence[Any]:
    few = _few(connection, query)
    if few is not None:
        return _of_these(connection, few, conditions_of(query, before=before), limit=limit)
    label = _first_equal(query)
    if label is not None:
        where, arguments = joined(_labelled(query, label, before=before))
        # The index has all but the order of runs of the same millisecond.
        sql = f"""
            SELECT runs.number FROM {_LABELLED} WHERE {where}
            ORDER BY listed_ms DESC, tenant DESC, run_id DESC LIMIT ?
        """  # noqa: S608
        found = [number for (number,) in connection.execute(sql, [*arguments, limit])]
        return _of_these(connection, found, [], limit=limit)
    conditions = conditions_of(query, before=before)
    kinds = _kinds(connection, query)
    if kinds is not None:
        return _merged(connection, kinds, conditions, limit=limit)
    where, arguments = joined(conditions)
    sql = f"{SUMMARY} INDEXED BY runs_newest_first WHERE {where} {_NEWEST_FIRST}"
    return connection.execute(sql, [*arguments, limit]).fetchall()


def _labelled(query: RunFilter, label: LabelTest, *, before: RunPlace | None) -> Conditions:
    """Return the conditions on runs with their rows of the label, which the index has."""
    rest = replace(query, labels=tuple(each for each in query.labels if each != label))
    return [
        ("labels.name = ? AND labels.value = ?", [label.name, label.value]),
        *places_of(query, before=before, column="listed_ms"),
        *conditions_of(rest, before=before),
    ]


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
    if query.workflow is not None or query.phases or query.within is not None:
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


def _first_equal(query: RunFilter) -> LabelTest | None:
    return next((label for label in query.labels if label.equal), None)


def _up_to_few(
    connection: sqlite3.Connection, table: str, where: str, arguments: Sequence[Any]
) -> list[int] | None:
    column = "rowid" if table == "ids" else "number"
    sql = f"SELECT {column} FROM {table} WHERE {where} LIMIT ?"  # noqa: S608
    found = [number for (number,) in connection.execute(sql, [*arguments, _FEW + 1])]
    return found if len(found) <= _FEW else None


def _trigrams(text: str) -> str:
    """Return the query for ids with the trigrams of the text's end, where ids differ the most."""
    end = text[-_MOST_CHARACTERS:]
    parts = {end[at : at + _SHORTEST_TEXT] for at in range(len(end) - _SHORTEST_TEXT + 1)}
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
    return [*conditions, *within_of(query)]


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
