"""Middleware: the trace, the count, the problem document and the host of every request."""

from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.tracing import TRACEPARENT_HEADER, continue_trace, trace_id
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.http_problem import MEDIA_TYPE, plain_problem
from sluice_gateway.handlers.app_keys import (
    ALLOWED_HOSTS,
    IDENTITY,
    METRICS,
    QUOTAS,
    TRACEPARENT,
)
from sluice_gateway.handlers.logged_path import logged_path
from sluice_gateway.handlers.operations import OPERATION

__all__ = ["check_host", "count_requests", "problem_responses", "set_headers", "trace_requests"]

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

_FOR_BROWSERS: Final = {
    # A page of another site could load an answer as a script or an image, with our cookie.
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # An address may have a watch link in it.
    "Referrer-Policy": "no-referrer",
}

_KEPT: Final = ("Allow", "Accept-Post", "Accept-Encoding", "Connection")


@web.middleware
async def trace_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Continue the caller's trace, in logs and in records."""
    traceparent = continue_trace(request.headers.get(TRACEPARENT_HEADER))
    request[TRACEPARENT] = traceparent
    # aiohttp handles each request in a context of its own, so nothing has to be unbound.
    structlog.contextvars.bind_contextvars(trace_id=trace_id(traceparent))
    return await handler(request)


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put on every answer what it is known by; aiohttp would name its own version."""
    response.headers["Server"] = "Sluice"
    response.headers.update(_FOR_BROWSERS)
    if (traceparent := request.get(TRACEPARENT)) is not None:
        response.headers[TRACEPARENT_HEADER] = traceparent
    if (operation := request.get(OPERATION)) is not None:
        if operation.varies:
            response.headers["Vary"] = operation.varies
        if (identity := request.get(IDENTITY)) is not None and operation.is_counted:
            usage = request.app[QUOTAS].usage(str(identity.principal))
            if usage is not None:
                response.headers["RateLimit-Policy"] = usage.quota.policy
                response.headers["RateLimit"] = usage.header
        if operation.deprecation is not None:
            response.headers.update(operation.deprecation.headers())


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request by its route and the answer's status."""
    status = CLIENT_GONE
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        # By template, never by path, and by known methods: a client must not make up labels.
        route = resource.canonical if resource is not None else "none"
        method = request.method if request.method in hdrs.METH_ALL else "other"
        request.app[METRICS].count_request(method, route, status)


@web.middleware
async def problem_responses(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever is raised into a problem document."""
    try:
        return await handler(request)
    except ProblemError as e:
        headers = {} if e.retry_after is None else {"Retry-After": str(e.retry_after)}
        if e.problem.type is ProblemType.UNAUTHENTICATED:
            # RFC 9110 section 11.6.1.
            headers["WWW-Authenticate"] = "Bearer"
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
        _log.exception("request failed", method=request.method, path=logged_path(request))
        return _response(
            request,
            problem(
                ProblemType.INTERNAL,
                "An unexpected error occurred; the logs have more under this trace id.",
            ),
            {},
        )


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 421 (RFC 9110 section 15.5.20) unless the request names one of our hosts.

    The host is that of the target in absolute form, else of the one Host header (RFC 9112 section
    3.2.2). A parser before us has refused HTTP/1.1 requests with no such header, or with several.
    """
    if not request.app[ALLOWED_HOSTS].allow(request.host):
        raise web.HTTPMisdirectedRequest(
            text="The gateway does not serve the host that the request names. If it should, add "
            "the name to http.allowed_hosts (SLUICE_HTTP__ALLOWED_HOSTS)."
        )
    return await handler(request)


def _response(request: web.Request, problem: Problem, headers: dict[str, str]) -> web.Response:
    complete = problem.model_copy(
        update={"instance": request.path, "trace_id": trace_id(request.get(TRACEPARENT))}
    )
    return web.Response(
        status=problem.status,
        body=complete.model_dump_json(exclude_none=True, exclude_defaults=True).encode(),
        content_type=MEDIA_TYPE,
        headers=headers,
    )
