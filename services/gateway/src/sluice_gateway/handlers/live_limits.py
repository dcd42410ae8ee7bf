"""GET /v1/limits: what is live and what waits, against what may be live."""

import asyncio
from typing import Final

from aiohttp import web

from sluice_contracts.http_limits import (
    ConcurrencyDocument,
    LimitsDocument,
    LoadDocument,
    TenantLoad,
    WorkflowLoad,
)
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.load import UNFINISHED, Load, load_report
from sluice_gateway.domain.run_query import RunFilter
from sluice_gateway.handlers.app_keys import CATALOGUE, IDENTITY, READER, SHOWN_LIMITS
from sluice_gateway.handlers.json_answers import NOT_MODIFIED, digest_of, send_versioned
from sluice_gateway.handlers.operations import JSON, Answer, Content, Operation
from sluice_gateway.handlers.parameters import ETAG, IF_NONE_MATCH
from sluice_workflows.entries import Entry

__all__ = ["OPERATIONS"]


async def get_limits(request: web.Request) -> web.StreamResponse:
    """Show what is live and what waits, of what the principal may read."""
    reach = request[IDENTITY].access.reach(Scope.READ)
    query = RunFilter(phases=UNFINISHED).seen_within(reach)
    entries = {each.name: each for each in request.app[CATALOGUE] if reach.has_workflow(each.name)}
    # On a thread: a hundred thousand tenants take a second.
    report = await asyncio.to_thread(
        load_report,
        await request.app[READER].kinds(query),
        workflows=list(entries),
        limits=request.app[SHOWN_LIMITS].current(),
        reach=reach,
    )
    document = LimitsDocument(
        total=LoadDocument.model_validate(_members(report.total)),
        tenants=tuple(
            TenantLoad(name=name, weight=each.weight, paused=each.paused, **_members(each))
            for name, each in report.tenants.items()
        ),
        more_tenants=report.more_tenants,
        workflows=tuple(
            WorkflowLoad(
                name=name,
                paused=each.paused,
                concurrency=_concurrency(entries[name]),
                **_members(each),
            )
            for name, each in report.workflows.items()
        ),
    )
    body = document.model_dump_json().encode()
    return await send_versioned(request, body, version=digest_of(body), media_type=JSON)


def _members(load: Load) -> dict[str, int | None]:
    return {"live": load.live, "waiting": load.waiting, "limit": load.limit}


def _concurrency(entry: Entry) -> ConcurrencyDocument | None:
    limited = entry.concurrency
    if limited is None:
        return None
    return ConcurrencyDocument(key=limited.key, limit=limited.limit, when_full=limited.when_full)


OPERATIONS: Final = (
    Operation(
        id="showLimits",
        method="GET",
        path="/v1/limits",
        handler=get_limits,
        scopes=(Scope.READ,),
        tag="controls",
        summary="Show what is live and what waits, against what may be live.",
        description="A limit is shown to those who may read all runs that it counts.",
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="Of the runs that the principal may read.",
                content=(Content(model=LimitsDocument),),
                headers=(ETAG,),
            ),
            NOT_MODIFIED,
        ),
    ),
)
