"""Lists of runs and their counts, as SQL."""

from datetime import UTC, datetime
from typing import Any, Final

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_store_postgres.conditions import Conditions
from sluice_gateway.domain.run_changes import Facts
from sluice_gateway.domain.run_query import RunFilter, RunPlace, RunSummary

__all__ = ["count_query", "kinds_query", "list_query", "summary_of"]

_SUMMARY: Final = """
SELECT tenant, run_id, place_ms, workflow, phase, terminal, attempt, progress,
       COALESCE(status_facts, request_facts), started_at, finished_at,
       status_partition, status_offset, request_offset
FROM runs
"""
# Each is a query of its own.
_MOST_TENANTS: Final = 100
_ORDER: Final = "ORDER BY place_ms DESC, tenant DESC, run_id DESC LIMIT"


def list_query(query: RunFilter, *, before: RunPlace | None, limit: int) -> tuple[str, list[Any]]:
    """Return the query for the newest runs behind `before`; `summary_of` reads its rows."""
    where = Conditions()
    where.run(query)
    if before is not None:
        where.before(before)
    most = where.argument(limit, "bigint")
    column, values = _merged(query)
    if not values:
        return f"{_SUMMARY} WHERE {where} {_ORDER} {most}", where.arguments
    parts = [where.argument(value, "text") for value in values]
    union = " UNION ALL ".join(
        f"({_SUMMARY} WHERE {where} AND {column} = {each} {_ORDER} {most})" for each in parts
    )
    return f"SELECT * FROM ({union}) AS found {_ORDER} {most}", where.arguments  # noqa: S608


def _merged(query: RunFilter) -> tuple[str, list[str]]:
    """Return a column with its values, of which each alone comes from an index in order."""
    if query.phases:
        return "phase", sorted(query.phases)
    tenants = query.within.tenants if query.within and query.tenant is None else None
    if tenants is not None and len(tenants) <= _MOST_TENANTS:
        return "tenant", sorted(tenants)
    return "", []


def count_query(query: RunFilter) -> tuple[str, list[Any]]:
    """Return the query for phases with the number of their runs."""
    where = Conditions()
    where.run(query)
    where.phases(query.phases, column="runs.phase")
    return f"SELECT phase, count(*) FROM runs WHERE {where} GROUP BY phase", where.arguments  # noqa: S608


def kinds_query(query: RunFilter) -> tuple[str, list[Any]]:
    """Return the query for the rows of `KindCount`."""
    where = Conditions()
    where.run(query)
    where.phases(query.phases, column="runs.phase")
    sql = f"""
        SELECT tenant, workflow, phase, count(*) FROM runs WHERE {where}
        GROUP BY tenant, workflow, phase
    """  # noqa: S608
    return sql, where.arguments


def summary_of(row: Any) -> RunSummary:  # noqa: ANN401 - asyncpg is untyped
    """Read a row of `list_query`."""
    (tenant, run_id, place_ms, workflow, phase, terminal, attempt, progress, facts_text) = row[:9]
    started_at, finished_at, *version = row[9:]
    facts = Facts.from_json(facts_text)
    return RunSummary(
        key=RunKey(tenant, run_id),
        place=RunPlace(place_ms, tenant, run_id),
        workflow=workflow,
        phase=Phase(phase),
        terminal=terminal,
        attempt=attempt,
        progress=progress,
        labels=facts.labels,
        priority=facts.priority,
        parent=facts.parent,
        started_at=_moment(started_at),
        finished_at=_moment(finished_at),
        version=":".join("-" if part is None else str(part) for part in (*version, place_ms)),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
