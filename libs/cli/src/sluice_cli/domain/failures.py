"""Which exit code an error or an outcome has."""

from collections.abc import Mapping
from typing import Final

from sluice_cli.domain.exit_codes import ExitCode
from sluice_client import (
    CountChangedError,
    EventsGoneError,
    ForbiddenError,
    IdConflictError,
    InvalidRequestError,
    LogGoneError,
    NotApplicableError,
    NotFoundError,
    OutcomeUnknownError,
    Phase,
    SluiceError,
    TokenFileError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)

__all__ = ["exit_code_of_error", "exit_code_of_phase"]

_BY_ERROR: Final[Mapping[type[SluiceError], ExitCode]] = {
    InvalidRequestError: ExitCode.USAGE,
    TokenFileError: ExitCode.USAGE,
    WaitTimeoutError: ExitCode.TIMEOUT,
    UnreachableError: ExitCode.UNREACHABLE,
    UnavailableError: ExitCode.UNREACHABLE,
    OutcomeUnknownError: ExitCode.UNKNOWN,
    UnauthenticatedError: ExitCode.NOT_ALLOWED,
    ForbiddenError: ExitCode.NOT_ALLOWED,
    NotFoundError: ExitCode.NOT_APPLICABLE,
    NotApplicableError: ExitCode.NOT_APPLICABLE,
    IdConflictError: ExitCode.NOT_APPLICABLE,
    CountChangedError: ExitCode.NOT_APPLICABLE,
    EventsGoneError: ExitCode.NOT_APPLICABLE,
    LogGoneError: ExitCode.NOT_APPLICABLE,
}
_BY_PHASE: Final[Mapping[Phase, ExitCode]] = {
    Phase.SUCCEEDED: ExitCode.SUCCESS,
    Phase.REJECTED: ExitCode.REJECTED,
    Phase.EXPIRED: ExitCode.REJECTED,
}


def exit_code_of_error(error: SluiceError) -> ExitCode:
    """Return the exit code of a command that could not be carried out."""
    return _BY_ERROR.get(type(error), ExitCode.OTHER)


def exit_code_of_phase(phase: Phase) -> ExitCode:
    """Return the exit code of a run that has ended in this phase."""
    return _BY_PHASE.get(phase, ExitCode.FAILED)
