"""Refuses what was sent to a host that is none of ours, before anything looks at it."""

from aiohttp import web
from aiohttp.typedefs import Handler

from sluice_gateway.handlers.app_keys import HOST_NAMES

__all__ = ["only_ours"]


@web.middleware
async def only_ours(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 421 (RFC 9110 section 15.5.20) unless the request names one of our hosts.

    The host is that of the target in absolute form, else of the one Host header (RFC 9112 section
    3.2.2). A parser before us has refused HTTP/1.1 requests with no such header, or with several.
    """
    if not request.app[HOST_NAMES].allow(request.host):
        raise web.HTTPMisdirectedRequest(
            text="The gateway does not serve the host that the request names. If it should, add "
            "the name to http.allowed_hosts (SLUICE_HTTP__ALLOWED_HOSTS)."
        )
    return await handler(request)
