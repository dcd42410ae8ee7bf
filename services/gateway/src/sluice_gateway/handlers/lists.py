"""GET /v1/runs and GET /v1/runs:counts."""

from datetime import UTC, datetime
from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints
from yarl import URL

from sluice_contracts.http_documents import RunLinks
from sluice_contracts.http_lists import (
    ListLinks,
    RunCountsDocument,
    RunListDocument,
    RunSummaryDocument,
)
from sluice_contracts.ids import workflow_name
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.run_query import InvalidCursorError, RunPlace, RunSummary
from sluice_gateway.handlers.app_keys import READER
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, digest_of, send_versioned
from sluice_gateway.handlers.operations import JSON, Answer, Content, Operation, QueryParameter
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH
from sluice_gateway.handlers.representations import links
from sluice_gateway.handlers.run_filters import FILTER, run_filter

__all__ = ["OPERATIONS", "ListLinks", "next_path"]


_LIMIT: Final[QueryParameter[int]] = QueryParameter(
    name="limit",
    type=Annotated[int, Field(ge=1, le=500)],
    description="The most runs of this part.",
    default=50,
)
_CURSOR: Final[QueryParameter[str]] = QueryParameter(
    name="cursor",
    type=Annotated[str, StringConstraints(min_length=1, max_length=512)],
    description="The `next_cursor` of the part before; with the same filters.",
)


async def get_runs(request: web.Request) -> web.StreamResponse:
    """List runs, newest first."""
    page = await request.app[READER].page(
        run_filter(request, Scope.READ), before=_place(request), limit=_LIMIT.of(request)
    )
    cursor = str(page.next) if page.next else None
    document = RunListDocument(
        runs=tuple(map(_summary, page.runs)),
        next_cursor=cursor,
        links=ListLinks(next=next_path(request, cursor) if cursor else None),
    )
    return await _send(request, document)


async def get_counts(request: web.Request) -> web.StreamResponse:
    """Count runs by phase."""
    counts = await request.app[READER].counts(run_filter(request, Scope.READ))
    document = RunCountsDocument(counts=dict(counts), total=sum(counts.values()))
    return await _send(request, document)


async def _send(request: web.Request, document: BaseModel) -> web.StreamResponse:
    body = document.model_dump_json().encode()
    return await send_versioned(request, body, version=digest_of(body), media_type=JSON)


def _place(request: web.Request) -> RunPlace | None:
    cursor = _CURSOR.of(request)
    if cursor is None:
        return None
    try:
        return RunPlace.parse(cursor)
    except InvalidCursorError as e:
        raise ProblemError.of(ProblemType.INVALID_REQUEST, str(e)) from e


def next_path(request: web.Request, cursor: str) -> str:
    """Return where the list that is asked for continues."""
    query = [(name, value) for name, value in request.query.items() if name != "cursor"]
    return str(URL.build(path=request.path, query=[*query, ("cursor", cursor)]))


def _summary(run: RunSummary) -> RunSummaryDocument:
    return RunSummaryDocument(
        id=run.key.run_id,
        tenant=run.key.tenant,
        workflow=run.workflow,
        workflow_name=workflow_name(run.key),
        phase=run.phase,
        terminal=run.terminal,
        attempt=run.attempt,
        progress=run.progress,
        labels=dict(run.labels),
        priority=run.priority,
        parent=run.parent,
        accepted_at=datetime.fromtimestamp(run.place.accepted_ms / 1000, UTC),
        started_at=run.started_at,
        finished_at=run.finished_at,
        links=RunLinks.model_validate(links(run.key)),
    )


OPERATIONS: Final = (
    Operation(
        id="listRuns",
        method="GET",
        path="/v1/runs",
        handler=get_runs,
        scopes=(Scope.READ,),
        summary="List runs, newest first.",
        description="A list that is read with cursors shows each run once, while others arrive.",
        query=(*FILTER, _LIMIT, _CURSOR),
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="A part of the list.",
                content=(Content(model=RunListDocument),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
    ),
    Operation(
        id="countRuns",
        method="GET",
        path="/v1/runs:counts",
        handler=get_counts,
        scopes=(Scope.READ,),
        summary="Count runs by phase.",
        query=FILTER,
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The number of runs in each phase.",
                content=(Content(model=RunCountsDocument),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
    ),
)
