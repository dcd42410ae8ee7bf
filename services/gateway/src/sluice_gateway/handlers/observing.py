"""What is known of every request, whatever becomes of it: its trace and its count."""

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from sluice_contracts.tracing import TRACEPARENT_HEADER, continue_trace, trace_id
from sluice_gateway.handlers.app_keys import METRICS, TRACEPARENT
from sluice_gateway.handlers.problems import CLIENT_GONE

__all__ = ["counted", "sign", "traced"]


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Continue the caller's trace, in logs and in records."""
    traceparent = continue_trace(request.headers.get(TRACEPARENT_HEADER))
    request[TRACEPARENT] = traceparent
    # aiohttp handles each request in a context of its own, so nothing has to be unbound.
    structlog.contextvars.bind_contextvars(trace_id=trace_id(traceparent))
    return await handler(request)


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Put on every answer what it is known by; aiohttp would name its own version."""
    response.headers["Server"] = "Sluice"
    if (traceparent := request.get(TRACEPARENT)) is not None:
        response.headers[TRACEPARENT_HEADER] = traceparent


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
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
        request.app[METRICS].requests.labels(method, route, status).inc()
