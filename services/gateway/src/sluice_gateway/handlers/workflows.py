"""GET /v1/workflows and GET /v1/workflows/{name}: the catalogue."""

from typing import Final

from aiohttp import web
from pydantic import JsonValue

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.handlers.app_keys import CATALOGUE
from sluice_gateway.handlers.documents import Workflows, WorkflowWithGraph
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, send_json
from sluice_gateway.handlers.operations import Answer, Content, Link, Operation
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH, WORKFLOW
from sluice_workflows.entries import Entry
from sluice_workflows.errors import UnknownWorkflowError

__all__ = ["OPERATIONS"]


async def get_workflows(request: web.Request) -> web.StreamResponse:
    """List what can be asked for."""
    entries = [_document(entry) for entry in request.app[CATALOGUE]]
    return await send_json(request, {"workflows": entries})


async def get_workflow(request: web.Request) -> web.StreamResponse:
    """Show one entry of the catalogue."""
    try:
        entry = request.app[CATALOGUE].get(request.match_info["name"])
    except UnknownWorkflowError as e:
        raise ProblemError.of(
            ProblemType.NOT_FOUND,
            "The catalogue has no such workflow; GET /v1/workflows lists those it has.",
        ) from e
    graph = None if entry.graph is None else entry.graph.model_dump(mode="json")
    return await send_json(request, _document(entry) | {"graph": graph})


def _document(entry: Entry) -> dict[str, JsonValue]:
    return {
        "name": entry.name,
        "description": entry.description,
        "parameters": dict(entry.parameter_schema()),
        "links": {"self": f"/v1/workflows/{entry.name}"},
    }


OPERATIONS: Final = (
    Operation(
        id="listWorkflows",
        method="GET",
        path="/v1/workflows",
        handler=get_workflows,
        scopes=(Scope.START, Scope.READ),
        tag="workflows",
        summary="List the catalogue.",
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="All entries.",
                content=(Content(model=Workflows),),
                headers=(ETAG,),
                links=(
                    Link(
                        name="first entry",
                        operation="getWorkflow",
                        parameters={"name": "$response.body#/workflows/0/name"},
                    ),
                ),
            ),
            NOT_MODIFIED,
        ),
    ),
    Operation(
        id="getWorkflow",
        method="GET",
        path="/v1/workflows/{name}",
        handler=get_workflow,
        scopes=(Scope.START, Scope.READ),
        tag="workflows",
        summary="Show one entry of the catalogue.",
        path_parameters=(WORKFLOW,),
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The entry.",
                content=(Content(model=WorkflowWithGraph),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
        problems=(ProblemType.NOT_FOUND,),
    ),
)
