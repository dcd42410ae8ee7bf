"""Every answer that is not a success is a problem document (RFC 9457)."""

from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.tracing import trace_id
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.http_problem import MEDIA_TYPE, plain_problem
from sluice_gateway.handlers.app_keys import TRACEPARENT

__all__ = ["CLIENT_GONE", "problems"]

_log = structlog.get_logger(__name__)

CLIENT_GONE: Final = 499
"""What nginx calls a request whose client did not wait for the answer."""

_HTTP: Final = {
    404: (ProblemType.NOT_FOUND, "There is nothing at this path; docs/api.md lists what there is."),
    405: (
        ProblemType.METHOD_NOT_ALLOWED,
        "This path does not take that method; the header Allow says which it takes.",
    ),
}
"""What aiohttp's router raises by itself, said our way."""


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever is raised into a problem document."""
    try:
        return await handler(request)
    except ProblemError as e:
        headers = {} if e.retry_after is None else {"Retry-After": str(e.retry_after)}
        return _response(request, e.problem, headers)
    except web.HTTPException as e:
        headers = {name: e.headers[name] for name in _KEPT if name in e.headers}
        if e.status in _HTTP:
            kind, detail = _HTTP[e.status]
            return _response(request, problem(kind, detail), headers)
        return web.Response(
            status=e.status,
            body=plain_problem(e.status, detail=e.text),
            content_type=MEDIA_TYPE,
            headers=headers,
        )
    except ConnectionError:
        # The client is gone: this is for the metrics alone.
        return web.Response(status=CLIENT_GONE)
    except Exception:  # noqa: BLE001 - the client hears of it, and the log why
        _log.exception("request failed", method=request.method, path=request.path)
        return _response(
            request,
            problem(
                ProblemType.INTERNAL,
                "Something went wrong that should not; the logs tell more under this trace id.",
            ),
            {},
        )


_KEPT: Final = ("Allow", "Accept-Post", "Accept-Encoding", "Connection")


def _response(request: web.Request, problem: Problem, headers: dict[str, str]) -> web.Response:
    told = problem.model_copy(
        update={"instance": request.path, "trace_id": trace_id(request.get(TRACEPARENT))}
    )
    return web.Response(
        status=problem.status,
        body=told.model_dump_json(exclude_none=True, exclude_defaults=True).encode(),
        content_type=MEDIA_TYPE,
        headers=headers,
    )
