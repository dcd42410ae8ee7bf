"""Rows of tables: what a person sees of documents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sluice_cli.domain.effects import changes
from sluice_cli.domain.moments import age, duration
from sluice_cli.domain.state_text import starts_in
from sluice_contracts.http_dead_letters import DeadLetterDocument
from sluice_contracts.http_documents import ControlDocument, RunDocument, WorkflowDocument
from sluice_contracts.http_lists import ItemDocument, RunSummaryDocument
from sluice_contracts.requests import CommandType

__all__ = [
    "Table",
    "controls_table",
    "items_table",
    "letters_table",
    "parameters_table",
    "plain_lines",
    "queue_table",
    "runs_table",
    "workflows_table",
]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Headings and rows, all as text."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def plain_lines(table: Table) -> list[str]:
    """Return the table as text: columns of equal width, for pipes."""
    lines = [table.headings, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _table(*headings: str, rows: Iterable[tuple[str, ...]]) -> Table:
    return Table(headings=headings, rows=tuple(rows))


def runs_table(runs: Iterable[RunSummaryDocument], *, now: datetime) -> Table:
    """Return a list of runs."""
    return _table(
        "ID",
        "TENANT",
        "WORKFLOW",
        "PHASE",
        "PROGRESS",
        "AGE",
        "TOOK",
        rows=(
            (
                run.id,
                run.tenant,
                run.workflow or "",
                run.phase,
                run.progress or "",
                age(run.accepted_at, now=now),
                duration((run.finished_at or now) - run.started_at) if run.started_at else "",
            )
            for run in runs
        ),
    )


def queue_table(states: Iterable[RunDocument], *, now: datetime) -> Table:
    """Return the runs that wait, and for what."""
    return _table(
        "ID",
        "TENANT",
        "WORKFLOW",
        "PLACE",
        "WAITS",
        "STARTS IN",
        "HELD BY",
        rows=(
            (
                state.id,
                state.tenant,
                state.workflow or "",
                str(state.queue.position or "") if state.queue else "",
                age(state.accepted_at, now=now),
                starts_in(state.queue, now=now) if state.queue else "",
                (state.queue.detail or state.queue.held_by or "") if state.queue else "",
            )
            for state in states
        ),
    )


def workflows_table(workflows: Iterable[WorkflowDocument]) -> Table:
    """Return the catalogue."""
    return _table(
        "NAME",
        "PARAMETERS",
        "DESCRIPTION",
        rows=(
            (each.name, " ".join(_parameter_names(each)), _first_sentence(each.description))
            for each in workflows
        ),
    )


def parameters_table(workflow: WorkflowDocument) -> Table:
    """Return the parameters of a workflow."""
    properties = workflow.parameters.get("properties")
    required = workflow.parameters.get("required")
    needed = set(required) if isinstance(required, list) else set()
    members = properties if isinstance(properties, dict) else {}
    return _table(
        "PARAMETER",
        "TYPE",
        "DEFAULT",
        "DESCRIPTION",
        rows=(
            (
                name,
                _type(schema),
                "(required)" if name in needed else _short(schema, "default"),
                _short(schema, "description"),
            )
            for name, schema in members.items()
        ),
    )


def controls_table(controls: Iterable[ControlDocument], *, now: datetime) -> Table:
    """Return what is paused or drained."""
    return _table(
        "KIND",
        "NAME",
        "STATE",
        "SINCE",
        "BY",
        "REASON",
        rows=(
            (
                each.kind,
                each.name,
                each.state,
                age(each.at, now=now),
                each.by or "",
                each.reason or "",
            )
            for each in controls
        ),
    )


def letters_table(letters: Iterable[DeadLetterDocument], *, now: datetime) -> Table:
    """Return dead letters."""
    return _table(
        "ID",
        "STATE",
        "TENANT",
        "RUN",
        "AGE",
        "REASON",
        rows=(
            (
                each.id,
                each.state,
                each.tenant or "",
                each.run.id if each.run else "",
                age(each.rejected_at, now=now),
                each.title,
            )
            for each in letters
        ),
    )


def items_table(items: Iterable[ItemDocument], *, command: CommandType) -> Table:
    """Return what became of each run that was commanded."""
    return _table(
        "ID",
        "TENANT",
        "STATUS",
        "PROBLEM",
        rows=(
            (
                each.id or "",
                each.tenant or "",
                str(each.status),
                each.problem.detail if each.problem else _unchanged(each, command),
            )
            for each in items
        ),
    )


def _unchanged(item: ItemDocument, command: CommandType) -> str:
    return "" if changes(command, item) else f"nothing was changed: it was {item.phase}"


_SHORT: Final = 60


def _parameter_names(workflow: WorkflowDocument) -> list[str]:
    properties = workflow.parameters.get("properties")
    return list(properties) if isinstance(properties, dict) else []


def _first_sentence(text: str) -> str:
    return text.strip().partition("\n")[0].partition(". ")[0]


def _type(schema: object) -> str:
    match schema:
        case {"enum": list(values)}:
            return " | ".join(map(str, values))
        case {"type": str(kind)}:
            return kind
    return "any"


def _short(schema: object, member: str) -> str:
    if not isinstance(schema, Mapping) or schema.get(member) is None:
        return ""
    text = str(schema[member])
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
