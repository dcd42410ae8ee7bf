"""What a command changes of a Workflow, and why it may not."""

from dataclasses import dataclass

from sluice_contracts.problems import FieldError, ProblemType
from sluice_dispatcher.domain.models import Manifest

__all__ = ["InapplicableCommandError", "WorkflowChange"]


@dataclass(frozen=True, kw_only=True)
class WorkflowChange:
    """A JSON Patch of the Workflow, and the pods to delete before it."""

    patch: list[Manifest]
    obsolete_pods: tuple[str, ...] = ()


class InapplicableCommandError(ValueError):
    """The command cannot be applied to the Workflow as it is; the message says why.

    `errors` are the values of the command that do not fit. A message repeats no value.
    """

    def __init__(self, detail: str, *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.errors = errors

    @property
    def problem_type(self) -> ProblemType:
        """The kind of problem that this is."""
        return ProblemType.INVALID_PARAMETERS if self.errors else ProblemType.NOT_APPLICABLE
