"""Lists of runs and their counts, as SQL."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.run_changes import Facts, milliseconds
from sluice_gateway.domain.run_query import RunFilter, RunPlace, RunSummary

__all__ = ["conditions", "count_query", "list_query", "summary_of"]

_SUMMARY: Final = """
SELECT tenant, run_id, place_ms, workflow, phase, terminal, attempt, progress, facts,
       started_at, finished_at, status_partition, status_offset, request_offset
FROM runs
"""

Arguments = list[Any]


def list_query(query: RunFilter, *, before: RunPlace | None, limit: int) -> tuple[str, Arguments]:
    """Return the query for the newest runs behind `before`; `summary_of` reads its rows."""
    parts, arguments = ["TRUE"], []
    for condition, values in conditions(query):
        parts.append(condition)
        arguments += values
    if before is not None:
        parts.append("(place_ms, tenant, run_id) < (?, ?, ?)")
        arguments += before
    arguments.append(limit)
    order = "ORDER BY place_ms DESC, tenant DESC, run_id DESC LIMIT ?"
    return f"{_SUMMARY} WHERE {' AND '.join(parts)} {order}", arguments


def count_query(query: RunFilter) -> tuple[str, Arguments]:
    """Return the query for phases with the number of their runs."""
    parts, arguments = ["TRUE"], []
    for condition, values in conditions(query):
        parts.append(condition)
        arguments += values
    return (
        f"SELECT phase, COUNT(*) FROM runs WHERE {' AND '.join(parts)} GROUP BY phase",  # noqa: S608
        arguments,
    )


def conditions(query: RunFilter) -> Iterator[tuple[str, Arguments]]:
    """Yield each condition on a row of `runs`, with its arguments."""
    if query.tenant is not None:
        yield "tenant = ?", [query.tenant]
    if query.workflow is not None:
        yield "workflow = ?", [query.workflow]
    if query.phases:
        yield f"phase IN ({', '.join('?' for _ in query.phases)})", sorted(query.phases)
    if query.since is not None:
        yield "place_ms >= ?", [milliseconds(query.since)]
    if query.until is not None:
        yield "place_ms < ?", [milliseconds(query.until)]
    if query.text is not None:
        yield "instr(run_id, ?)", [query.text]
    for label in query.labels:
        # Names of labels have no quotes.
        condition = f"""json_extract(facts, '$[0]."{label.name}"')"""
        yield f"{condition} IS {'' if label.equal else 'NOT '}?", [label.value]


def summary_of(row: Any) -> RunSummary:  # noqa: ANN401 - sqlite3's rows are untyped
    """Read a row of `list_query`."""
    (tenant, run_id, place_ms, workflow, phase, terminal, attempt, progress, facts_text) = row[:9]
    started_at, finished_at, *version = row[9:]
    facts = Facts.from_json(facts_text)
    return RunSummary(
        key=RunKey(tenant, run_id),
        place=RunPlace(place_ms, tenant, run_id),
        workflow=workflow,
        phase=Phase(phase),
        terminal=bool(terminal),
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
