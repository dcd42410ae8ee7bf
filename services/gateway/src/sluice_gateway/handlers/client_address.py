"""Who asks."""

from typing import Final

from aiohttp import web

from sluice_gateway.handlers.app_keys import TRUSTED_PROXIES

__all__ = ["client_address"]

_FORWARDED_FOR: Final = "X-Forwarded-For"


def client_address(request: web.Request) -> str:
    """Name the peer whose request it is; shares are given by this name."""
    forwarded_for = request.headers.getall(_FORWARDED_FOR, [])
    return request.app[TRUSTED_PROXIES].of(request.remote, forwarded_for=forwarded_for)
