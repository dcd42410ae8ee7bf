"""Queries for runs as conditions in SQL, and rows as summaries."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from sluice_contracts.ids import RunKey
from sluice_contracts.status import Phase
from sluice_gateway.domain.reach import ANY
from sluice_gateway.domain.run_changes import Facts, first_millisecond
from sluice_gateway.domain.run_query import RunFilter, RunPlace, RunSummary

__all__ = [
    "SUMMARY",
    "Conditions",
    "conditions_of",
    "joined",
    "places_of",
    "summary_of",
    "within_of",
]

Conditions: TypeAlias = list[tuple[str, Sequence[Any]]]
"""SQL about a row of `runs`, each with its arguments."""

SUMMARY: Final = """
SELECT tenant, run_id, place_ms, workflow, phase, terminal, attempt, progress, facts,
       started_at, finished_at, status_partition, status_offset, request_offset
FROM runs
"""


def conditions_of(query: RunFilter, *, before: RunPlace | None) -> Conditions:
    """Return the conditions on runs that the query wants, behind the place if there is one."""
    conditions: Conditions = []
    if query.tenant is not None:
        conditions.append(("tenant = ?", [query.tenant]))
    if query.workflow is not None:
        conditions.append(("workflow = ?", [query.workflow]))
    if query.phases:
        marks = ", ".join("?" for _ in query.phases)
        conditions.append((f"phase IN ({marks})", sorted(query.phases)))
    conditions += within_of(query)
    conditions += places_of(query, before=before, column="place_ms")
    if query.text is not None:
        conditions.append(("instr(run_id, ?)", [query.text]))
    for label in query.labels:
        # Names of labels have no quotes.
        value = f"""json_extract(facts, '$[0]."{label.name}"')"""
        conditions.append((f"{value} IS {'' if label.equal else 'NOT '}?", [label.value]))
    if before is not None:
        conditions.append(("(place_ms, tenant, run_id) < (?, ?, ?)", before))
    return conditions


def within_of(query: RunFilter) -> Conditions:
    """Return the condition that the principal may see the run or the kind of runs."""
    if query.within is None:
        return []
    areas, arguments = [], []
    for area in query.within.areas:
        named = {"tenant": area.tenants, "workflow": area.workflows}
        parts = ["TRUE"]
        for column, names in named.items():
            if ANY not in names:
                parts.append(f"{column} IN ({', '.join('?' for _ in names)})")
                arguments += sorted(names)
        areas.append(" AND ".join(parts))
    return [(f"({' OR '.join(areas) or 'FALSE'})", arguments)]


def places_of(query: RunFilter, *, before: RunPlace | None, column: str) -> Conditions:
    """Return the bounds of `place_ms`, for a column that has it."""
    conditions: Conditions = []
    if query.since is not None:
        conditions.append((f"{column} >= ?", [first_millisecond(query.since)]))
    if query.until is not None:
        conditions.append((f"{column} < ?", [first_millisecond(query.until)]))
    if before is not None:
        conditions.append((f"{column} <= ?", [before.accepted_ms]))
    return conditions


def joined(conditions: Conditions) -> tuple[str, list[Any]]:
    """Return one condition that all of them make, and its arguments."""
    text = " AND ".join(["TRUE", *(condition for condition, _ in conditions)])
    return text, [value for _, values in conditions for value in values]


def summary_of(row: Any) -> RunSummary:  # noqa: ANN401 - sqlite3's rows are untyped
    """Read a row of `SUMMARY`."""
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
