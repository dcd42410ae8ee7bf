"""GET /v1/workflows and GET /v1/workflows/{name}: the catalogue."""

from typing import Final

from aiohttp import web
from pydantic import JsonValue

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.app_keys import CATALOGUE
from sluice_gateway.handlers.parameters import check_query
from sluice_workflows.entries import Entry
from sluice_workflows.errors import UnknownWorkflowError

__all__ = ["ROUTES"]


async def get_workflows(request: web.Request) -> web.Response:
    """List what can be asked for."""
    check_query(request)
    entries = [_document(entry) for entry in request.app[CATALOGUE]]
    return web.json_response({"workflows": entries})


async def get_workflow(request: web.Request) -> web.Response:
    """Show one entry of the catalogue."""
    check_query(request)
    try:
        entry = request.app[CATALOGUE].get(request.match_info["name"])
    except UnknownWorkflowError as e:
        raise ProblemError.of(
            ProblemType.NOT_FOUND,
            "The catalogue has no such workflow; GET /v1/workflows lists those it has.",
        ) from e
    graph = None if entry.graph is None else entry.graph.model_dump(mode="json")
    return web.json_response(_document(entry) | {"graph": graph})


def _document(entry: Entry) -> dict[str, JsonValue]:
    return {
        "name": entry.name,
        "description": entry.description,
        "parameters": dict(entry.parameter_schema()),
        "links": {"self": f"/v1/workflows/{entry.name}"},
    }


ROUTES: Final = (
    web.get("/v1/workflows", get_workflows),
    web.get("/v1/workflows/{name}", get_workflow),
)
