"""The one way in which a service says no."""

from typing import Self

from sluice_contracts.problems import FieldError, Problem, ProblemType, problem

__all__ = ["HiddenRunError", "ProblemError"]


class ProblemError(Exception):
    """The request gets this problem for an answer.

    `retry_after` is the number of seconds after which trying again makes sense, None if it never
    does. Clients repeat by the type of the problem, so it has to be one that may be repeated.
    """

    def __init__(self, problem: Problem, *, retry_after: int | None = None) -> None:
        super().__init__(problem.detail)
        if retry_after is not None and not problem.type.repeatable:
            raise ValueError(f"A problem of type {problem.type} is not to be repeated.")
        self.problem = problem
        self.retry_after = retry_after

    @classmethod
    def of(
        cls,
        problem_type: ProblemType,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
    ) -> Self:
        """Describe the problem on the spot."""
        return cls(problem(problem_type, detail, errors=errors), retry_after=retry_after)


class HiddenRunError(ProblemError):
    """The run exists and is not granted; clients see the problem of one that does not exist."""
