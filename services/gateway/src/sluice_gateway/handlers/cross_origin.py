"""Lets pages of some other sites read answers (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol).

They authenticate by a header, never by our cookie: Access-Control-Allow-Credentials is never sent.
"""

from typing import Final

from aiohttp import hdrs, web

from sluice_gateway.handlers.app_keys import BROWSER_ACCESS

__all__ = ["allow_other_origins"]

_METHODS: Final = "GET, HEAD, POST"
_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, "
    "ce-id, ce-source, ce-specversion, ce-type, traceparent"
)
_EXPOSED: Final = (
    "ETag, Idempotency-Replayed, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    "Retry-After, traceparent"
)
_PREFLIGHT_SECONDS: Final = "600"


async def allow_other_origins(request: web.Request, response: web.StreamResponse) -> None:
    """Put on an answer whether the page that asks may read it."""
    allowed = request.app[BROWSER_ACCESS].other_origins
    if not allowed:
        return
    varies = response.headers.get(hdrs.VARY)
    response.headers[hdrs.VARY] = f"{varies}, Origin" if varies else "Origin"
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin not in allowed:
        return
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    if request.method == hdrs.METH_OPTIONS:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _METHODS
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _HEADERS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _PREFLIGHT_SECONDS
    else:
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
