"""How the log of the gateway names a request."""

from aiohttp import web

__all__ = ["logged_path"]


def logged_path(request: web.Request) -> str:
    """Return the path, without the name of a step: Argo names copies of a step by their values."""
    return request.path.partition("/steps/")[0]
