"""Problem documents: one shape for errors over HTTP, on Kafka and on the command line.

RFC 9457 (Problem Details for HTTP APIs). The `type` URI is the stable identifier; titles and
details are for people and may change.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

__all__ = [
    "MAX_FIELD_ERRORS",
    "FieldError",
    "Problem",
    "ProblemCause",
    "ProblemType",
    "field_errors",
    "problem",
]


MAX_FIELD_ERRORS = 32
"""Places that a problem lists; a document can have more faults than fit into a record."""


class ProblemType(StrEnum):
    """The kinds of problems that Sluice reports, by their stable URIs."""

    MALFORMED_JSON = "urn:sluice:problem:malformed-json"
    MALFORMED_EVENT = "urn:sluice:problem:malformed-event"
    INVALID_REQUEST = "urn:sluice:problem:invalid-request"
    UNKNOWN_WORKFLOW = "urn:sluice:problem:unknown-workflow"
    INVALID_PARAMETERS = "urn:sluice:problem:invalid-parameters"
    TOO_LARGE = "urn:sluice:problem:too-large"
    EMPTY_RECORD = "urn:sluice:problem:empty-record"
    ID_CONFLICT = "urn:sluice:problem:id-conflict"
    IDEMPOTENCY_KEY_REUSED = "urn:sluice:problem:idempotency-key-reused"
    EXPIRED = "urn:sluice:problem:expired"
    CANCELLED = "urn:sluice:problem:cancelled"
    REFUSED_BY_CLUSTER = "urn:sluice:problem:refused-by-cluster"
    UNKNOWN_RUN = "urn:sluice:problem:unknown-run"
    NOT_APPLICABLE = "urn:sluice:problem:not-applicable"
    UNAUTHENTICATED = "urn:sluice:problem:unauthenticated"
    FORBIDDEN = "urn:sluice:problem:forbidden"
    FOREIGN_TENANT = "urn:sluice:problem:foreign-tenant"
    UNSIGNED = "urn:sluice:problem:unsigned"
    NOT_FOUND = "urn:sluice:problem:not-found"
    METHOD_NOT_ALLOWED = "urn:sluice:problem:method-not-allowed"
    UNSUPPORTED_MEDIA_TYPE = "urn:sluice:problem:unsupported-media-type"
    NOT_ACCEPTABLE = "urn:sluice:problem:not-acceptable"
    LOG_TRUNCATED = "urn:sluice:problem:log-truncated"
    LOGS_DISABLED = "urn:sluice:problem:logs-disabled"
    LOG_GONE = "urn:sluice:problem:log-gone"
    COUNT_CHANGED = "urn:sluice:problem:count-changed"
    OUTCOME_UNKNOWN = "urn:sluice:problem:outcome-unknown"
    UNAVAILABLE = "urn:sluice:problem:unavailable"
    OVERLOADED = "urn:sluice:problem:overloaded"
    RATE_LIMITED = "urn:sluice:problem:rate-limited"
    INTERNAL = "urn:sluice:problem:internal"

    @property
    def repeatable(self) -> bool:
        """Whether the same request, with the same id, may be carried out a little later."""
        return self in _REPEATABLE

    @property
    def wrote_nothing(self) -> bool:
        """Whether it is certain that the request had no effect."""
        return self not in _UNCLEAR


# Of all others the same request gets the same answer again.
_REPEATABLE: Final = frozenset(
    {
        ProblemType.OVERLOADED,
        ProblemType.RATE_LIMITED,
        ProblemType.UNAVAILABLE,
        ProblemType.OUTCOME_UNKNOWN,
        ProblemType.INTERNAL,
    }
)
_UNCLEAR: Final = frozenset({ProblemType.OUTCOME_UNKNOWN, ProblemType.INTERNAL})

_KINDS: Final = {
    ProblemType.MALFORMED_JSON: (400, "Malformed JSON"),
    ProblemType.MALFORMED_EVENT: (400, "Malformed CloudEvent"),
    ProblemType.INVALID_REQUEST: (422, "Invalid request"),
    ProblemType.UNKNOWN_WORKFLOW: (422, "Unknown workflow"),
    ProblemType.INVALID_PARAMETERS: (422, "Invalid parameters"),
    ProblemType.TOO_LARGE: (413, "Too large"),
    ProblemType.EMPTY_RECORD: (400, "Empty record"),
    ProblemType.ID_CONFLICT: (409, "Id belongs to another run"),
    ProblemType.IDEMPOTENCY_KEY_REUSED: (422, "Idempotency key reused"),
    ProblemType.EXPIRED: (422, "Expired"),
    ProblemType.CANCELLED: (409, "Cancelled"),
    ProblemType.REFUSED_BY_CLUSTER: (422, "Refused by the cluster"),
    ProblemType.UNKNOWN_RUN: (404, "Unknown run"),
    ProblemType.NOT_APPLICABLE: (409, "Not applicable to the run's state"),
    ProblemType.UNAUTHENTICATED: (401, "Unauthenticated"),
    ProblemType.FORBIDDEN: (403, "Forbidden"),
    ProblemType.FOREIGN_TENANT: (403, "Another tenant's topic"),
    ProblemType.UNSIGNED: (403, "Signature missing or wrong"),
    ProblemType.NOT_FOUND: (404, "Not found"),
    ProblemType.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    ProblemType.UNSUPPORTED_MEDIA_TYPE: (415, "Unsupported media type"),
    ProblemType.NOT_ACCEPTABLE: (406, "Not acceptable"),
    ProblemType.LOG_TRUNCATED: (410, "No longer kept"),
    ProblemType.LOGS_DISABLED: (404, "Logs are not set up"),
    ProblemType.LOG_GONE: (410, "Log no longer kept"),
    ProblemType.COUNT_CHANGED: (412, "Another number of runs"),
    ProblemType.OUTCOME_UNKNOWN: (503, "Outcome unknown"),
    ProblemType.UNAVAILABLE: (503, "Unavailable"),
    ProblemType.OVERLOADED: (429, "Overloaded"),
    ProblemType.RATE_LIMITED: (429, "Rate limited"),
    ProblemType.INTERNAL: (500, "Internal error"),
}


class ProblemCause(StrEnum):
    """What stopped a run or its pods, where a type covers several causes.

    They are not types, because readers up to the release of 2026-11-29 pass over an event whose
    problem has a type that they do not know.
    """

    PODS_REFUSED = "pods-refused"
    ACCOUNT_MISSING = "account-missing"
    IMAGE_UNAVAILABLE = "image-unavailable"
    ARTIFACTS_UNAVAILABLE = "artifacts-unavailable"
    CONCURRENCY_LIMIT = "concurrency-limit"
    REPLACED = "replaced"


class FieldError(BaseModel):
    """One fault at one place of a document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pointer: Annotated[
        str, Field(description="JSON Pointer (RFC 6901), e.g. `/parameters/workers`.")
    ]
    detail: Annotated[str, Field(description="What is wrong there. Never repeats the value.")]


def _known(problem_type: object) -> object:
    """Read a type of a later release as INTERNAL: the event that has it must not be lost."""
    unknown = isinstance(problem_type, str) and problem_type not in set(ProblemType)
    return ProblemType.INTERNAL if unknown else problem_type


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Annotated[
        ProblemType,
        BeforeValidator(_known),
        Field(description="Stable URI of this kind of problem."),
    ]
    title: Annotated[str, Field(description="The kind of problem in a few words.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status, also on Kafka.")]
    detail: Annotated[str, Field(description="What happened this time, and what to do next.")]
    cause: Annotated[
        str | None,
        Field(
            description="What it was in particular. Of a run whose pods were stopped: "
            "`pods-refused`, `account-missing`, `image-unavailable` or `artifacts-unavailable`. Of "
            "one that was cancelled: `concurrency-limit` or `replaced`. There may be more."
        ),
    ] = None
    instance: Annotated[
        str | None, Field(description="URI of the request or run that this is about.")
    ] = None
    errors: Annotated[
        tuple[FieldError, ...], Field(description="The places that are wrong, for bad input.")
    ] = ()
    trace_id: Annotated[
        str | None, Field(description="W3C trace id; log lines with the same id give details.")
    ] = None


def problem(
    problem_type: ProblemType,
    detail: str,
    *,
    cause: ProblemCause | None = None,
    errors: tuple[FieldError, ...] = (),
) -> Problem:
    """Return a problem with the title and status of its kind."""
    status, title = _KINDS[problem_type]
    return Problem(
        type=problem_type, title=title, status=status, detail=detail, cause=cause, errors=errors
    )


def field_errors(error: ValidationError, *, prefix: str = "") -> tuple[FieldError, ...]:
    """Return the places where a document broke its model, without repeating its values.

    `prefix` is the JSON Pointer of the document within the client's message. Places beyond
    MAX_FIELD_ERRORS are only counted.
    """
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    named = tuple(
        FieldError(
            pointer=prefix + "".join(f"/{_escaped(part)}" for part in e["loc"]),
            detail=e["msg"].removeprefix("Value error, "),
        )
        for e in errors[:MAX_FIELD_ERRORS]
    )
    if len(errors) <= MAX_FIELD_ERRORS:
        return named
    unnamed = len(errors) - MAX_FIELD_ERRORS
    return (*named, FieldError(pointer=prefix, detail=f"{unnamed} more places are wrong."))


def _escaped(part: int | str) -> str:
    # RFC 6901 section 3. Names come from the client: 128 characters are enough to find the place.
    return str(part)[:128].replace("~", "~0").replace("/", "~1")
