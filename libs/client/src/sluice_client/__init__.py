"""Start, follow and command runs of Sluice, over HTTP or Kafka."""

from sluice_client.batches import Item
from sluice_client.client import Sluice
from sluice_client.dead_letters import DeadLetterFilters, DeadLetters
from sluice_client.errors import (
    CountChangedError,
    EventsGoneError,
    ForbiddenError,
    IdConflictError,
    InvalidRequestError,
    LogGoneError,
    NotApplicableError,
    NotFoundError,
    OutcomeUnknownError,
    ProblemError,
    RunFailedError,
    SluiceError,
    TokenFileError,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
)
from sluice_client.filters import RunFilters
from sluice_client.identities import Identity
from sluice_client.logs import LogLine
from sluice_client.outcomes import Event, Outcome
from sluice_client.protocols import RunHandle, RunStarter, StartOptions
from sluice_client.retries import Retries
from sluice_client.runs import Run
from sluice_client.tokens import Token
from sluice_contracts.http_documents import RunDocument
from sluice_contracts.problems import Problem, ProblemType
from sluice_contracts.requests import RunRequest
from sluice_contracts.status import Phase, StatusEvent

__all__ = [
    "CountChangedError",
    "DeadLetterFilters",
    "DeadLetters",
    "Event",
    "EventsGoneError",
    "ForbiddenError",
    "IdConflictError",
    "Identity",
    "InvalidRequestError",
    "Item",
    "LogGoneError",
    "LogLine",
    "NotApplicableError",
    "NotFoundError",
    "Outcome",
    "OutcomeUnknownError",
    "Phase",
    "Problem",
    "ProblemError",
    "ProblemType",
    "Retries",
    "Run",
    "RunDocument",
    "RunFailedError",
    "RunFilters",
    "RunHandle",
    "RunRequest",
    "RunStarter",
    "Sluice",
    "SluiceError",
    "StartOptions",
    "StatusEvent",
    "Token",
    "TokenFileError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "WaitTimeoutError",
]
