"""GET /: who answers here, and where to go from here."""

from typing import Final

from aiohttp import web

from sluice_gateway.handlers.app_keys import GREETING
from sluice_gateway.handlers.parameters import check_query

__all__ = ["ROUTES"]


async def get_index(request: web.Request) -> web.Response:
    """Greet, and say where it is listed what can be asked for."""
    check_query(request)
    links = {"workflows": "/v1/workflows"}
    return web.json_response({"message": request.app[GREETING], "links": links})


ROUTES: Final = (web.get("/", get_index),)
