"""What requests and answers say outside their bodies: path, query and headers."""

import re
from dataclasses import replace
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import StringConstraints

from sluice_contracts.ids import DEFAULT_TENANT, RunId, RunKey, Tenant, is_run_id
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import EventPlace
from sluice_gateway.handlers.operations import Parameter, QueryParameter

__all__ = [
    "ETAG",
    "IDEMPOTENCY_KEY",
    "IDEMPOTENCY_REPLAYED",
    "IF_NONE_MATCH",
    "LAST_EVENT_ID",
    "LOCATION",
    "RETRY_AFTER",
    "RUN_ID",
    "TENANT",
    "TRACEPARENT",
    "WORKFLOW",
    "WWW_AUTHENTICATE",
    "idempotency_key",
    "last_event",
    "optional",
    "run_key",
]

# RFC 8941 section 3.3.3, without the escapes, which no run id needs.
_STRING: Final = re.compile(r'"([^"\\]*)"')
# A partition of the default topics, or of a door's behind its name.
_PLACE_PATTERN: Final = r"(?:[a-z0-9-]{1,63}/)?[0-9]{1,10}:[0-9]{1,18}"


TENANT: Final[QueryParameter[str]] = QueryParameter(
    name="tenant", type=Tenant, description="Who the run belongs to.", default=DEFAULT_TENANT
)

RUN_ID: Final = Parameter(name="id", type=RunId, description="The run's id.", required=True)
WORKFLOW: Final = Parameter(
    name="name", type=str, description="The name of a catalogue entry.", required=True
)

IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    type=RunId,
    description="Becomes the run's id, if the document has none; with double quotes or without.",
)
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match", type=str, description="ETags that the client has: 304 if one is current."
)
LAST_EVENT_ID: Final = Parameter(
    name="Last-Event-ID",
    type=Annotated[str, StringConstraints(pattern=rf"^({_PLACE_PATTERN})?$")],
    description="The `id` of the last event that the client has; the stream resumes behind it. "
    "Empty before the first event.",
)

ETAG: Final = Parameter(
    name="ETag",
    type=str,
    description="Changes whenever the representation does.",
    required=True,
)
LOCATION: Final = Parameter(
    name="Location", type=str, description="The path of the run.", required=True
)
RETRY_AFTER: Final = Parameter(
    name="Retry-After", type=int, description="Seconds after which to ask again."
)
TRACEPARENT: Final = Parameter(
    name="traceparent",
    type=str,
    description="The request's own span in its caller's trace (W3C Trace Context).",
)
WWW_AUTHENTICATE: Final = Parameter(
    name="WWW-Authenticate", type=Literal["Bearer"], description="What to send.", required=True
)
IDEMPOTENCY_REPLAYED: Final = Parameter(
    name="Idempotency-Replayed",
    type=Literal["true"],
    description="The run was there before this request.",
    required=True,
)


def optional(parameter: Parameter) -> Parameter:
    """Return the parameter of an answer that does not always have it."""
    return replace(parameter, required=False)


def run_key(request: web.Request) -> RunKey:
    """Return which run the path and `?tenant=` name.

    Raises:
        ProblemError: UNKNOWN_RUN for what can be no run's id.
    """
    run_id = request.match_info["id"]
    if not is_run_id(run_id):
        raise ProblemError.of(ProblemType.UNKNOWN_RUN, "No run can have this id.")
    return RunKey(TENANT.of(request), run_id)


def idempotency_key(request: web.Request) -> str | None:
    """Read `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), a string or bare.

    Raises:
        ProblemError: INVALID_REQUEST.
    """
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    quoted = _STRING.fullmatch(values[0].strip())
    key = quoted[1] if quoted else values[0].strip()
    if len(values) > 1 or not is_run_id(key):
        raise _invalid(
            "The header Idempotency-Key becomes the run's id: give it once, a letter or digit and "
            "up to 127 more of letters, digits, '.', '_' and '-', in double quotes or without."
        )
    return key


def last_event(request: web.Request) -> EventPlace | None:
    """Read `Last-Event-ID`, the place of the last event that the client has.

    Raises:
        HTTPBadRequest: it is none that a stream of ours has given.
    """
    value = request.headers.get("Last-Event-ID")
    if not value:
        # EventSource leaves it empty until an event has had an id.
        return None
    if re.fullmatch(_PLACE_PATTERN, value) is None:
        raise web.HTTPBadRequest(
            text="Last-Event-ID must be the id of an event of this stream, as in 3:4711."
        )
    return EventPlace.parse(value)


def _invalid(detail: str) -> ProblemError:
    return ProblemError.of(ProblemType.INVALID_REQUEST, detail)
