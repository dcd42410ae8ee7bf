"""Errors of catalogues, requests and compilation; a retry helps with none of them."""

from collections.abc import Iterable

from sluice_contracts.problems import FieldError
from sluice_workflows.near_names import near_names

__all__ = [
    "CatalogueError",
    "CompileError",
    "InvalidParametersError",
    "UnknownWorkflowError",
    "WorkflowsError",
]


class WorkflowsError(Exception):
    """Base of this package's errors."""


class CatalogueError(WorkflowsError):
    """The catalogue is invalid; its owner must correct it before Sluice can start."""


class CompileError(WorkflowsError):
    """A builder failed, or its workflow must not reach the cluster."""

    def __init__(self, workflow: str, detail: str) -> None:
        super().__init__(f"workflow `{workflow}` does not compile: {detail}")
        self.workflow = workflow
        self.detail = detail


class UnknownWorkflowError(WorkflowsError):
    """A request names a workflow that the catalogue does not have."""

    def __init__(self, name: str, *, known: Iterable[str]) -> None:
        self.known = tuple(known)
        self.near = near_names(name, self.known, most=3)
        hint = f" Did you mean {_quoted(self.near)}?" if self.near else ""
        super().__init__(
            f"There is no workflow `{_printable(name)}`.{hint} The catalogue has: "
            f"{_quoted(self.known) or 'nothing'}."
        )


class InvalidParametersError(WorkflowsError):
    """The workflow's model refuses the parameters; `errors` has each place."""

    def __init__(self, workflow: str, *, errors: tuple[FieldError, ...]) -> None:
        listed = "; ".join(f"{error.pointer}: {error.detail}" for error in errors)
        super().__init__(f"parameters of workflow `{workflow}` are invalid: {listed}")
        self.workflow = workflow
        self.errors = errors


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _printable(name: str) -> str:
    """Return a client's name in a form that is safe in a message."""
    return name[:63].encode("ascii", "backslashreplace").decode()
