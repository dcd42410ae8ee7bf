"""GET /v1/workflows and GET /v1/workflows/{name}: the catalogue."""

from functools import partial
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from sluice_contracts.http_documents import Workflows, WorkflowWithGraph
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.validation import unknown_workflow
from sluice_gateway.handlers.app_keys import CATALOGUE, IDENTITY
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, send_json
from sluice_gateway.handlers.operations import Answer, Content, Link, Operation
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH, WORKFLOW
from sluice_workflows.entries import Entry
from sluice_workflows.errors import UnknownWorkflowError

__all__ = ["OPERATIONS"]


async def get_workflows(request: web.Request) -> web.StreamResponse:
    """List what can be asked for."""
    catalogue = request.app[CATALOGUE]
    entries = [_document(entry) for entry in catalogue if _is_seen(request, entry.name)]
    return await send_json(request, {"workflows": entries})


async def get_workflow(request: web.Request) -> web.StreamResponse:
    """Show one entry of the catalogue."""
    name = request.match_info["name"]
    try:
        entry = request.app[CATALOGUE].get(name)
    except UnknownWorkflowError as e:
        raise _unknown(request, name) from e
    if not _is_seen(request, name):
        raise _unknown(request, name)
    graph = None if entry.graph is None else entry.graph.model_dump(mode="json")
    return await send_json(request, _document(entry) | {"graph": graph})


def _is_seen(request: web.Request, name: str) -> bool:
    """Return whether the principal may start or read runs of the workflow, of any tenant."""
    access = request[IDENTITY].access
    return any(access.reach(scope).has_workflow(name) for scope in (Scope.START, Scope.READ))


def _unknown(request: web.Request, name: str) -> ProblemError:
    """Say the same of an entry that does not exist and of one that may not be seen."""
    detail = unknown_workflow(
        name, catalogue=request.app[CATALOGUE], is_shown=partial(_is_seen, request)
    )
    return ProblemError.of(ProblemType.NOT_FOUND, detail)


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
                description="All entries whose runs the principal may start or read.",
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
