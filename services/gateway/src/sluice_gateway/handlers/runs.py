"""POST /v1/runs and GET /v1/runs/{id}."""

import json
import time
from typing import Final

from aiohttp import web

from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.models import RunState
from sluice_gateway.handlers.app_keys import LOOP_SHARE, METRICS, READER, SUBMISSION, TRACEPARENT
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.documents import AcceptedRunDocument, RunDocument
from sluice_gateway.handlers.large_responses import send_body
from sluice_gateway.handlers.operations import Answer, Content, Link, Operation
from sluice_gateway.handlers.parameters import (
    ETAG,
    IDEMPOTENCY_KEY,
    IDEMPOTENCY_REPLAYED,
    IF_NONE_MATCH,
    LOCATION,
    RETRY_AFTER,
    RUN_ID,
    TENANT,
    idempotency_key,
    run_key,
)
from sluice_gateway.handlers.representations import accepted_document, run_path, state_document
from sluice_gateway.handlers.request_body import admitted_body
from sluice_gateway.handlers.run_requests import read_run_request
from sluice_gateway.services.submission import Asked, Replayed

__all__ = ["OPERATIONS"]

_POLL_AGAIN_S: Final = "1"


async def post_run(request: web.Request) -> web.StreamResponse:
    """Start a run: 202 once its request is acknowledged, 200 if it was there already."""
    key = idempotency_key(request)
    began = time.perf_counter()
    async with admitted_body(request) as pieces:
        read = await read_run_request(
            pieces, peer=client_address(request), loop_share=request.app[LOOP_SHARE]
        )
        asked = Asked(
            request=read.request,
            content=read.content,
            idempotency_key=key,
            traceparent=request[TRACEPARENT],
        )
        answer = await request.app[SUBMISSION].submit(asked)
    if isinstance(answer, Replayed):
        return await _send_state(
            request,
            answer.state,
            **{"Idempotency-Replayed": "true", "Location": run_path(answer.state.key)},
        )
    request.app[METRICS].accept_seconds.observe(time.perf_counter() - began)
    return web.json_response(
        accepted_document(answer), status=202, headers={"Location": run_path(answer.key)}
    )


async def get_run(request: web.Request) -> web.StreamResponse:
    """Return the run's latest state, or 304 if the client has it."""
    state = await request.app[READER].state(run_key(request))
    known = request.if_none_match or ()
    if any(etag.value in (state.version, "*") for etag in known):
        return web.Response(status=304, headers=_state_headers(state))
    return await _send_state(request, state)


async def _send_state(
    request: web.Request, state: RunState, **more_headers: str
) -> web.StreamResponse:
    body = json.dumps(state_document(state), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", **_state_headers(state), **more_headers}
    return await send_body(request, body, headers=headers)


def _state_headers(state: RunState) -> dict[str, str]:
    headers = {"ETag": f'"{state.version}"', "Cache-Control": "no-cache"}
    return headers if state.terminal else headers | {"Retry-After": _POLL_AGAIN_S}


_OF_THE_RUN: Final = {"id": "$response.body#/id", "tenant": "$response.body#/tenant"}

RUN_LINKS: Final = (
    Link(name="state", operation="getRun", parameters=_OF_THE_RUN),
    Link(name="events", operation="followRun", parameters=_OF_THE_RUN),
)
"""What can be done with the run that an answer shows."""

OPERATIONS: Final = (
    Operation(
        id="startRun",
        method="POST",
        path="/v1/runs",
        handler=post_run,
        summary="Start a run.",
        description="The same id with the same content is the same run.",
        headers=(IDEMPOTENCY_KEY,),
        body=(Content(model=RunRequest),),
        answers=(
            Answer(
                status=202,
                description="Every in-sync replica of Kafka has the request.",
                content=(Content(model=AcceptedRunDocument),),
                headers=(LOCATION,),
                links=RUN_LINKS,
            ),
            Answer(
                status=200,
                description="The run was there already, with the same content.",
                content=(Content(model=RunDocument),),
                headers=(LOCATION, IDEMPOTENCY_REPLAYED, ETAG, RETRY_AFTER),
                links=RUN_LINKS,
            ),
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.ID_CONFLICT,
            ProblemType.TOO_LARGE,
            ProblemType.UNKNOWN_WORKFLOW,
            ProblemType.INVALID_PARAMETERS,
            ProblemType.EXPIRED,
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            ProblemType.OUTCOME_UNKNOWN,
        ),
    ),
    Operation(
        id="getRun",
        method="GET",
        path="/v1/runs/{id}",
        handler=get_run,
        summary="Read a run's latest state.",
        path_parameters=(RUN_ID,),
        query=(TENANT,),
        headers=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The latest status event with all steps of the run.",
                content=(Content(model=RunDocument),),
                headers=(ETAG, RETRY_AFTER),
            ),
            Answer(
                status=304,
                description="The client has this state.",
                headers=(ETAG, RETRY_AFTER),
            ),
        ),
        problems=(ProblemType.UNKNOWN_RUN,),
    ),
)
