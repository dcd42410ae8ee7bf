"""What can go wrong. Messages say what to do next; they have no tokens and no parameters."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from sluice_contracts.http_documents import HttpProblem
from sluice_contracts.problems import ProblemType

if TYPE_CHECKING:
    from sluice_client.outcomes import Outcome

__all__ = [
    "CountChangedError",
    "EventsGoneError",
    "ForbiddenError",
    "IdConflictError",
    "InvalidRequestError",
    "LogGoneError",
    "NotApplicableError",
    "NotFoundError",
    "OutcomeUnknownError",
    "ProblemError",
    "RunFailedError",
    "SluiceError",
    "TokenFileError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "WaitTimeoutError",
    "as_sentence",
    "problem_error",
]


class SluiceError(Exception):
    """Any failure of this client; `problem` is what Sluice says of it, if it said something."""

    problem: HttpProblem | None = None


class ProblemError(SluiceError):
    """Sluice has answered with a problem; `problem` has its stable type."""

    def __init__(self, problem: HttpProblem) -> None:
        places = "".join(
            f"\n  {each.pointer or 'document'}: {each.detail}" for each in problem.errors
        )
        trace = f" (trace {problem.trace_id})" if problem.trace_id else ""
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}{places}{trace}")
        self.problem: HttpProblem = problem


class InvalidRequestError(ProblemError):
    """The request itself is wrong, in the places of `problem.errors`: correct it."""


class UnauthenticatedError(ProblemError):
    """The token is missing, unknown or expired: give the client another one."""


class LogGoneError(ProblemError):
    """The log of the step is no longer kept: its pod is gone."""


class ForbiddenError(ProblemError):
    """The token is valid, and does not allow this: ask the operator for a grant."""


class NotFoundError(ProblemError):
    """There is no such run, workflow or dead letter, or the token does not let you read it."""


class IdConflictError(ProblemError):
    """The id belongs to a run with other content: take another id."""


class NotApplicableError(ProblemError):
    """The state of the run or dead letter does not allow it: read it."""


class EventsGoneError(ProblemError):
    """The events behind this place are no longer kept: list the runs, and follow them from now."""


class CountChangedError(ProblemError):
    """Another number of runs than expected is selected: count again."""


class UnavailableError(ProblemError):
    """Sluice could not do it within the time for retries; nothing was written. Try again later."""


class OutcomeUnknownError(SluiceError):
    """The request may have been carried out, or not.

    A start may be repeated with the same id: it never becomes a second run. Before a command is
    repeated, read the run.
    """

    def __init__(self, message: str, *, problem: HttpProblem | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class UnreachableError(SluiceError):
    """Nothing answered within the time for retries; nothing was written."""


class UnexpectedAnswerError(SluiceError):
    """The answer is not one of Sluice's: check the address, and proxies before it."""


class TokenFileError(SluiceError):
    """The file of the token cannot be used: name another one, or correct it. Nothing was sent."""


class WaitTimeoutError(SluiceError, TimeoutError):
    """The run is not over yet. It goes on, and you may wait again."""


class RunFailedError(SluiceError):
    """The run has not succeeded; `outcome` has its state."""

    def __init__(self, outcome: "Outcome") -> None:
        state = outcome.state
        why = state.problem.detail if state.problem else state.message
        super().__init__(f"Run {state.run_id!r} is {state.phase}{f': {why}' if why else '.'}")
        self.outcome = outcome
        if state.problem is not None:
            self.problem = HttpProblem.model_validate(state.problem.model_dump())


_BY_STATUS: Final[dict[int, type[ProblemError]]] = {
    HTTPStatus.BAD_REQUEST: InvalidRequestError,
    HTTPStatus.UNAUTHORIZED: UnauthenticatedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: NotApplicableError,
    HTTPStatus.GONE: EventsGoneError,
    HTTPStatus.PRECONDITION_FAILED: CountChangedError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidRequestError,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidRequestError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidRequestError,
}
_BY_TYPE: Final[dict[str, type[ProblemError]]] = {
    ProblemType.ID_CONFLICT: IdConflictError,
    ProblemType.IDEMPOTENCY_KEY_REUSED: IdConflictError,
    ProblemType.LOG_GONE: LogGoneError,
}


def as_sentence(text: str) -> str:
    """Return what an operating system or a library says with a full stop, if it has no end."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def problem_error(problem: HttpProblem) -> SluiceError:
    """Return the error for a problem that is final, or is not repeated any more."""
    if problem.repeatable:
        if problem.wrote_nothing:
            return UnavailableError(problem)
        return OutcomeUnknownError(
            f"{problem.status} {problem.title}: {problem.detail}", problem=problem
        )
    kind = _BY_TYPE.get(problem.type) or _BY_STATUS.get(problem.status, ProblemError)
    return kind(problem)
