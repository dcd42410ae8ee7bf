"""Who asks."""

from typing import Final

from aiohttp import web

from sluice_gateway.handlers.app_keys import PEERS

__all__ = ["peer_of"]

_FORWARDED_FOR: Final = "X-Forwarded-For"


def peer_of(request: web.Request) -> str:
    """Name the peer whose request it is; shares are given by this name."""
    forwarded_for = request.headers.getall(_FORWARDED_FOR, [])
    return request.app[PEERS].of(request.remote, forwarded_for=forwarded_for)
