"""The built-in workflows: for a first try, for tests, and as examples."""

from dataclasses import replace
from importlib.resources import files
from typing import Final

from pydantic import TypeAdapter

from sluice_contracts.graphs import PlannedGraph
from sluice_workflows.builtin.approval import APPROVAL
from sluice_workflows.builtin.artifact_passing import ARTIFACT_PASSING
from sluice_workflows.builtin.diamond import DIAMOND
from sluice_workflows.builtin.hello import HELLO
from sluice_workflows.builtin.map_reduce import MAP_REDUCE
from sluice_workflows.entries import Entry

__all__ = ["BUILT_IN", "GRAPHS_FILE"]

GRAPHS_FILE: Final = "graphs.json"
"""The graphs by name, beside this module: only the compiler could make them, and the gateway has
none. `make graphs` writes them."""

_GRAPHS: Final = TypeAdapter(dict[str, PlannedGraph]).validate_json(
    files(__name__).joinpath(GRAPHS_FILE).read_bytes()
)

BUILT_IN: Final[tuple[Entry, ...]] = tuple(
    replace(entry, graph=_GRAPHS.get(entry.name))
    for entry in (HELLO, ARTIFACT_PASSING, MAP_REDUCE, DIAMOND, APPROVAL)
)
