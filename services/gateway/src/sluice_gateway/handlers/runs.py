"""POST /v1/runs and GET /v1/runs/{id}."""

import time
from typing import Final, Literal

from aiohttp import web

from sluice_contracts.cloudevents import STRUCTURED
from sluice_contracts.http_documents import PreviewDocument, RunDocument
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import RunRequest
from sluice_gateway.domain.identity import Scope
from sluice_gateway.handlers.app_keys import (
    IDENTITY,
    LOOP_SHARE,
    METRICS,
    READER,
    SUBMISSION,
    TRACEPARENT,
)
from sluice_gateway.handlers.auditing import about, about_start
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.cloudevents import BINARY, RunEvent, binary_envelope
from sluice_gateway.handlers.operations import Answer, Content, Operation, QueryParameter
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
    optional,
    run_key,
)
from sluice_gateway.handlers.preferences import PREFER, PREFERENCE_APPLIED
from sluice_gateway.handlers.representations import preview_document
from sluice_gateway.handlers.request_body import admitted_body, wait_for_topics
from sluice_gateway.handlers.run_answers import (
    ACCEPTED,
    RUN_LINKS,
    note_start,
    send_known_state,
    send_start,
)
from sluice_gateway.handlers.run_requests import (
    ReadRequest,
    read_run_event,
    read_run_request,
)
from sluice_gateway.services.submission import Asked, Started

__all__ = ["OPERATIONS"]


async def post_run(request: web.Request) -> web.StreamResponse:
    """Start a run, or say what would become of the request."""
    key = idempotency_key(request)
    began = time.perf_counter()
    async with admitted_body(request) as pieces:
        read = await _read(request, pieces)
        about_start(request, read, stated=key)
        asked = Asked(
            request=read.request,
            content=read.content,
            idempotency_key=key,
            derived_id=read.derived_id,
            traceparent=request[TRACEPARENT],
            identity=request[IDENTITY],
        )
        if VALIDATE_ONLY.of(request) == "true":
            preview = await request.app[SUBMISSION].preview(asked)
            return web.json_response(preview_document(read.request, preview))
        wait_for_topics(request, read.request.tenant, Scope.START)
        answer = await request.app[SUBMISSION].submit(asked)
    note_start(request, answer)
    if isinstance(answer, Started):
        request.app[METRICS].accept_seconds.observe(time.perf_counter() - began)
    # A client that waits for the outcome is not in flight any more.
    return await send_start(request, answer)


async def _read(request: web.Request, pieces: list[bytes]) -> ReadRequest:
    peer, loop_share = client_address(request), request.app[LOOP_SHARE]
    if request.content_type == STRUCTURED:
        return await read_run_event(pieces, peer=peer, loop_share=loop_share)
    envelope = binary_envelope(request)
    return await read_run_request(pieces, peer=peer, loop_share=loop_share, envelope=envelope)


async def get_run(request: web.Request) -> web.StreamResponse:
    """Return the run's latest state, or 304 if the client has it."""
    key = run_key(request)
    about(request, key)
    state = await request.app[READER].state(key, request[IDENTITY].access)
    return await send_known_state(request, state, status=200)


VALIDATE_ONLY: Final[QueryParameter[Literal["true", "false"]]] = QueryParameter(
    name="validate_only",
    type=Literal["true", "false"],
    description="Say what would become of the request, and write nothing.",
    default="false",
)

OPERATIONS: Final = (
    Operation(
        id="startRun",
        method="POST",
        path="/v1/runs",
        handler=post_run,
        scopes=(Scope.START,),
        summary="Start a run.",
        description="The same id with the same content is the same run.",
        query=(VALIDATE_ONLY,),
        headers=(IDEMPOTENCY_KEY, PREFER, *BINARY),
        body=(Content(model=RunRequest), Content(media_type=STRUCTURED, model=RunEvent)),
        answers=(
            ACCEPTED,
            Answer(
                status=200,
                description="The run was there already, with the same content; or it came to its "
                "outcome within the wait; or `validate_only` asked what would become of it.",
                content=(Content(model=RunDocument | PreviewDocument),),
                headers=(
                    optional(LOCATION),
                    optional(IDEMPOTENCY_REPLAYED),
                    PREFERENCE_APPLIED,
                    optional(ETAG),
                    RETRY_AFTER,
                ),
                links=RUN_LINKS,
            ),
        ),
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.MALFORMED_EVENT,
            ProblemType.ID_CONFLICT,
            ProblemType.TOO_LARGE,
            ProblemType.UNKNOWN_WORKFLOW,
            ProblemType.INVALID_PARAMETERS,
            ProblemType.EXPIRED,
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            ProblemType.OUTCOME_UNKNOWN,
            ProblemType.UNAVAILABLE,
        ),
    ),
    Operation(
        id="getRun",
        method="GET",
        path="/v1/runs/{id}",
        handler=get_run,
        scopes=(Scope.READ,),
        takes_watch_links=True,
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
        problems=(ProblemType.UNKNOWN_RUN, ProblemType.UNAVAILABLE, ProblemType.OVERLOADED),
    ),
)
