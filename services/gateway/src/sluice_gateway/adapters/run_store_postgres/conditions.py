"""What is asked of runs, as SQL."""

import json
from collections.abc import Collection
from typing import Any

from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_store_postgres.texts import storable
from sluice_gateway.domain.reach import ANY, Area
from sluice_gateway.domain.run_changes import first_millisecond
from sluice_gateway.domain.run_query import RunFilter, RunPlace

__all__ = ["Conditions"]


class Conditions:
    """Conditions on the table `runs`, with their arguments.

    Values are never part of the text.
    """

    def __init__(self) -> None:
        self.arguments: list[Any] = []
        self._conditions: list[str] = []

    def __str__(self) -> str:
        """Return the conditions as they stand behind WHERE."""
        return " AND ".join(self._conditions) or "true"

    def argument(self, value: Any, kind: str) -> str:  # noqa: ANN401 - whatever SQL takes
        """Add an argument, and return the expression that stands for it."""
        self.arguments.append(storable(value) if isinstance(value, str) else value)
        return f"${len(self.arguments)}::{kind}"

    def run(self, query: RunFilter) -> None:
        """Add all conditions of the query but that on phases."""
        if query.tenant is not None:
            self._add(f"runs.tenant = {self.argument(query.tenant, 'text')}")
        if query.workflow is not None:
            self._add(f"runs.workflow = {self.argument(query.workflow, 'text')}")
        if query.within is not None:
            self._add(" OR ".join(map(self._area, query.within.areas)) or "false")
        for test in query.labels:
            label = self.argument(json.dumps({test.name: storable(test.value)}), "jsonb")
            self._add(f"{'' if test.equal else 'NOT '}runs.labels @> {label}")
        if query.since is not None:
            self._add(f"runs.place_ms >= {self.argument(first_millisecond(query.since), 'bigint')}")
        if query.until is not None:
            self._add(f"runs.place_ms < {self.argument(first_millisecond(query.until), 'bigint')}")
        if query.text is not None:
            self._add(f"runs.run_id LIKE {self.argument(_contains(query.text), 'text')}")

    def phases(self, phases: Collection[Phase], *, column: str) -> None:
        """Add that the phase is one of these; all are allowed if there are none."""
        if len(phases) == 1:
            [phase] = phases
            self._add(f"{column} = {self.argument(phase.value, 'text')}")
        elif phases:
            values = sorted(phase.value for phase in phases)
            self._add(f"{column} = ANY ({self.argument(values, 'text[]')})")

    def before(self, place: RunPlace) -> None:
        """Add that the run stands behind this place in a list."""
        accepted_ms, tenant, run_id = (
            self.argument(value, kind)
            for value, kind in zip(place, ("bigint", "text", "text"), strict=True)
        )
        self._add(
            f"(runs.place_ms, runs.tenant, runs.run_id) < ({accepted_ms}, {tenant}, {run_id})"
        )

    def _add(self, condition: str) -> None:
        self._conditions.append(f"({condition})")

    def _area(self, area: Area) -> str:
        named = {"runs.tenant": area.tenants, "runs.workflow": area.workflows}
        parts = [self._one_of(column, names) for column, names in named.items() if ANY not in names]
        return " AND ".join(parts) or "true"

    def _one_of(self, column: str, names: Collection[str]) -> str:
        if len(names) == 1:
            # Only for one does an index have the order of lists.
            [name] = names
            return f"{column} = {self.argument(name, 'text')}"
        return f"{column} = ANY ({self.argument(sorted(names), 'text[]')})"


def _contains(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
