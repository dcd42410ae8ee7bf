"""Finds the steps of a run in the planned graph of its workflow, as a page would."""

from collections.abc import Mapping
from typing import Any

from sluice_contracts.graphs import PlannedGraph, PlannedStep

__all__ = ["unplanned"]

Json = dict[str, Any]


def unplanned(outcome: Json, graph: PlannedGraph) -> list[str]:
    """Return the names of the steps of an outcome that the graph does not have.

    What a recursive template repeats is not asked for, and neither are the containers of a set.
    """
    planned = {(step.boundary, step.name): step for step in graph.steps}
    live = {step["id"]: step for step in outcome["steps"]}
    return [
        step["name"]
        for step in live.values()
        if step["type"] != "Container"
        and _planned(step, live, planned, workflow=outcome["workflow_name"]) is None
        and not graph.truncated
    ]


def _planned(
    step: Json,
    live: Mapping[str, Json],
    planned: Mapping[tuple[str | None, str], PlannedStep],
    *,
    workflow: str,
) -> PlannedStep | None:
    name = step["name"].partition("(")[0]
    boundary = None
    if (around := live.get(step["boundary"])) is not None:
        within = _planned(around, live, planned, workflow=workflow)
        if within is None:
            return None
        boundary = within.id
    elif name == workflow:
        [only] = [found for (place, _), found in planned.items() if place is None][:1]
        return only if only.template == step["template"] else None
    return planned.get((boundary, name.removeprefix(f"{workflow}.")))
