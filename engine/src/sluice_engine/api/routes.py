"""Paths, and the middlewares around every handler."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from sluice_engine.api.handlers import Handlers
from sluice_engine.api.pods import Pods
from sluice_engine.api.responses import api_groups, api_resources, document, version
from sluice_engine.settings import SERVER_NAME
from sluice_engine.store.errors import ApiError, method_not_allowed

__all__ = ["MAX_BODY_BYTES", "add_routes", "error_middleware", "name_server"]

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
"""As an API server; what is stored has a lower limit."""

_log = structlog.get_logger()

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def error_middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer every refusal and every failure with a Status document."""
    try:
        _refuse_browsers(request)
        return await handler(request)
    except ApiError as e:
        error = e
    except web.HTTPRequestEntityTooLarge:
        message = f"Request entity too large: limit is {MAX_BODY_BYTES}"
        error = ApiError(413, "RequestEntityTooLarge", message)
    except web.HTTPNotFound:
        # A real server has no document for an unknown path, either.
        return web.Response(status=404, text="404 page not found\n")
    except web.HTTPMethodNotAllowed as e:
        error = method_not_allowed(f"the server does not allow {e.method} on this resource")
    except (web.HTTPException, ConnectionResetError):
        raise
    except Exception:  # noqa: BLE001 - a server says 500 and goes on serving the others
        _log.exception("a request failed", method=request.method, path=request.path)
        error = ApiError(500, "InternalError", "Internal error occurred: see the engine's log")
    return document(error.status(), status=error.code)


def _refuse_browsers(request: web.Request) -> None:
    """Keep web pages from starting programs: browsers name their origin, API clients do not."""
    if "Origin" in request.headers:
        message = "the local engine has no authentication, so it does not answer web pages"
        raise ApiError(403, "Forbidden", message)


async def name_server(_request: web.Request, response: web.StreamResponse) -> None:
    """Name this server in every answer."""
    response.headers["Server"] = SERVER_NAME


async def _version(_request: web.Request) -> web.Response:
    return document(version())


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _api(_request: web.Request) -> web.Response:
    return document({"kind": "APIVersions", "versions": []})


async def _groups(_request: web.Request) -> web.Response:
    return document(api_groups())


async def _group(request: web.Request) -> web.Response:
    for group in api_groups()["groups"]:
        if group["name"] == request.match_info["group"]:
            return document({"kind": "APIGroup", "apiVersion": "v1", **group})
    raise web.HTTPNotFound


async def _resources(request: web.Request) -> web.Response:
    found = api_resources(request.match_info["group"], request.match_info["version"])
    if found is None:
        raise web.HTTPNotFound
    return document(found)


async def _no_pod(request: web.Request) -> web.Response:
    """Answer that there is no such pod: the log of a step goes with its Workflow."""
    name = request.match_info["name"]
    raise ApiError(404, "NotFound", f'pods "{name}" not found')


def add_routes(app: web.Application, handlers: Handlers, pods: Pods) -> None:
    """Add the Kubernetes API's paths to an application."""
    add = app.router.add_route
    for path, handler in (
        ("/version", _version),
        # Some clients end it with a slash; a real API server accepts both.
        ("/version/", _version),
        ("/livez", _ok),
        ("/readyz", _ok),
        ("/healthz", _ok),
        ("/api", _api),
        ("/apis", _groups),
        ("/apis/{group}", _group),
        ("/apis/{group}/{version}", _resources),
    ):
        add("GET", path, handler)
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    add("GET", pod, pods.read)
    add("DELETE", pod, _no_pod)
    add("GET", f"{pod}/log", pods.read_log)
    for collection in (
        "/apis/{group}/{version}/{plural}",
        "/apis/{group}/{version}/namespaces/{namespace}/{plural}",
    ):
        add("GET", collection, handlers.list)
        add("POST", collection, handlers.create)
        add("DELETE", collection, handlers.delete_collection)
        one = f"{collection}/{{name}}"
        add("GET", one, handlers.read)
        add("PUT", one, handlers.replace)
        add("PATCH", one, handlers.patch)
        add("DELETE", one, handlers.delete)
