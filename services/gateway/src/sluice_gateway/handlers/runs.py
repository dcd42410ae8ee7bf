"""POST /v1/runs and GET /v1/runs/{id}."""

import json
import time
from typing import Final

from aiohttp import web

from sluice_gateway.domain.models import RunState
from sluice_gateway.handlers.app_keys import LOOP_SHARE, METRICS, READER, SUBMISSION, TRACEPARENT
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.large_responses import send_body
from sluice_gateway.handlers.parameters import check_query, idempotency_key, run_key
from sluice_gateway.handlers.representations import accepted_document, run_path, state_document
from sluice_gateway.handlers.request_body import admitted_body, expect_body
from sluice_gateway.handlers.run_requests import read_run_request
from sluice_gateway.services.submission import Asked, Replayed

__all__ = ["ROUTES"]

_POLL_AGAIN_S: Final = "1"


async def post_run(request: web.Request) -> web.StreamResponse:
    """Start a run: 202 once its request is acknowledged, 200 if it was there already."""
    check_query(request)
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


ROUTES: Final = (
    web.post("/v1/runs", post_run, expect_handler=expect_body),
    web.get("/v1/runs/{id}", get_run),
)
