"""What can go wrong between a catalogue, a request and a Workflow. All of it is permanent."""

import difflib
from collections.abc import Iterable

from sluice_contracts.problems import FieldError

__all__ = [
    "CatalogueError",
    "CompileError",
    "InvalidParametersError",
    "UnknownWorkflowError",
    "WorkflowsError",
]


class WorkflowsError(Exception):
    """Anything that this package refuses."""


class CatalogueError(WorkflowsError):
    """The catalogue itself is wrong; its owner has to change it before Sluice can start."""


class CompileError(WorkflowsError):
    """A builder failed, or made something that must not reach the cluster."""

    def __init__(self, workflow: str, detail: str) -> None:
        super().__init__(f"workflow `{workflow}` does not compile: {detail}")
        self.workflow = workflow
        self.detail = detail


class UnknownWorkflowError(WorkflowsError):
    """A request names a workflow that the catalogue does not hold."""

    def __init__(self, name: str, *, known: Iterable[str]) -> None:
        self.known = tuple(known)
        self.near = tuple(difflib.get_close_matches(name[:63], self.known))
        hint = f" Did you mean {_quoted(self.near)}?" if self.near else ""
        super().__init__(
            f"There is no workflow `{_printable(name)}`.{hint} The catalogue holds: "
            f"{_quoted(self.known) or 'nothing'}."
        )


class InvalidParametersError(WorkflowsError):
    """Parameters that the workflow's model refuses; `errors` points at each place."""

    def __init__(self, workflow: str, *, errors: tuple[FieldError, ...]) -> None:
        listed = "; ".join(f"{error.pointer}: {error.detail}" for error in errors)
        super().__init__(f"parameters of workflow `{workflow}` are not valid: {listed}")
        self.workflow = workflow
        self.errors = errors


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _printable(name: str) -> str:
    """Shorten a name that a stranger chose, so that it can stand in a message."""
    return name[:63].encode("ascii", "backslashreplace").decode()
