"""What a request says outside its body: query, path and headers."""

import re
from typing import Final

from aiohttp import web

from sluice_contracts.ids import DEFAULT_TENANT, RunKey, is_run_id, is_tenant
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import EventPlace

__all__ = ["check_query", "idempotency_key", "last_event", "run_key"]

# RFC 8941 section 3.3.3, without the escapes, which no run id needs.
_STRING: Final = re.compile(r'"([^"\\]*)"')
_PLACE: Final = re.compile(r"([0-9]{1,10}):([0-9]{1,18})")


def check_query(request: web.Request, *known: str) -> None:
    """Refuse query parameters that mean nothing here: the client believes that they do.

    Raises:
        ProblemError: INVALID_REQUEST.
    """
    for name in request.query:
        if name not in known:
            raise _invalid(f"Unknown query parameter {name[:64]!r}.")
        if len(request.query.getall(name)) > 1:
            raise _invalid(f"The query parameter {name} is given twice.")


def run_key(request: web.Request) -> RunKey:
    """Return which run the path and `?tenant=` name.

    Raises:
        ProblemError: INVALID_REQUEST, or UNKNOWN_RUN for what can be no run's id.
    """
    check_query(request, "tenant")
    tenant = request.query.get("tenant", DEFAULT_TENANT)
    if not is_tenant(tenant):
        raise _invalid("The query parameter tenant is not a tenant's name.")
    run_id = request.match_info["id"]
    if not is_run_id(run_id):
        raise ProblemError.of(ProblemType.UNKNOWN_RUN, "No run can have this id.")
    return RunKey(tenant, run_id)


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
    place = _PLACE.fullmatch(value)
    if place is None:
        raise web.HTTPBadRequest(
            text="Last-Event-ID must be the id of an event of this stream, as in 3:4711."
        )
    return EventPlace(int(place[1]), int(place[2]))


def _invalid(detail: str) -> ProblemError:
    return ProblemError.of(ProblemType.INVALID_REQUEST, detail)
