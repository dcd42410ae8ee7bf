"""The built-in workflows: for a first try, for tests, and as examples."""

from typing import Final

from sluice_workflows.builtin.approval import APPROVAL
from sluice_workflows.builtin.artifact_passing import ARTIFACT_PASSING
from sluice_workflows.builtin.diamond import DIAMOND
from sluice_workflows.builtin.hello import HELLO
from sluice_workflows.builtin.map_reduce import MAP_REDUCE
from sluice_workflows.entries import Entry

__all__ = ["BUILT_IN"]

BUILT_IN: Final[tuple[Entry, ...]] = (HELLO, ARTIFACT_PASSING, MAP_REDUCE, DIAMOND, APPROVAL)
