"""GET /: who answers here, and where to go from here."""

from typing import Final

from aiohttp import web

from sluice_contracts.http_documents import Index
from sluice_gateway.handlers.app_keys import GREETING
from sluice_gateway.handlers.dashboard import PAGE, send_page
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, send_json
from sluice_gateway.handlers.operations import Answer, Content, Operation
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH
from sluice_gateway.handlers.routing import MEDIA_TYPE
from sluice_gateway.handlers.sign_in import SIGN_IN

__all__ = ["OPERATIONS"]


async def get_index(request: web.Request) -> web.StreamResponse:
    """Greet, and say where it is listed what can be asked for; a browser gets the dashboard."""
    if request[MEDIA_TYPE] == PAGE:
        return await send_page(request)
    links = {
        "workflows": "/v1/workflows",
        "docs": "/docs",
        "openapi": "/openapi.json",
        "asyncapi": "/asyncapi.json",
        "sign_in": "/sign-in" if SIGN_IN in request.app else None,
    }
    return await send_json(request, {"message": request.app[GREETING], "links": links})


OPERATIONS: Final = (
    Operation(
        id="getIndex",
        method="GET",
        path="/",
        handler=get_index,
        scopes=(),
        tag="about",
        summary="Greet, and say where to continue.",
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="A greeting.",
                content=(Content(model=Index), Content(media_type=PAGE, model=str)),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
    ),
)
