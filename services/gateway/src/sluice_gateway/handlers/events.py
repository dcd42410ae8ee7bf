"""GET /v1/runs/{id}/events: the events of one run, as a stream that resumes exactly."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.status_codec import QUEUED
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.models import EventHead
from sluice_gateway.handlers.app_keys import (
    FRAMES,
    IDENTITY,
    LIMITS,
    READER,
    RESPONSE_BUDGET,
    VIEW,
)
from sluice_gateway.handlers.auditing import about
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.operations import Answer, Operation
from sluice_gateway.handlers.parameters import (
    LAST_EVENT_ID,
    RUN_ID,
    TENANT,
    last_event,
    run_key,
)
from sluice_gateway.handlers.representations import state_document
from sluice_gateway.handlers.streams import STREAMS, frame_format, send_stream, stream_headers
from sluice_gateway.services.event_stream import follow
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.queue_watch import QueueWatch

__all__ = ["OPERATIONS"]


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A run whose events are shown, as what, and whether with their payloads."""

    key: RunKey
    form: FrameFormat
    payloads: bool


async def get_events(request: web.Request) -> web.StreamResponse:
    """Stream the run's events; 204 if the client has the last one, so that it stops asking."""
    key = run_key(request)
    about(request, key)
    after = last_event(request)
    payloads = await request.app[READER].shows_payloads(key, request[IDENTITY].access)
    shown = _Shown(key=key, form=frame_format(request), payloads=payloads)
    view, keepalive = request.app[VIEW], request.app[LIMITS].keepalive
    with request.app[RESPONSE_BUDGET].stream(client_address(request)):
        pages = follow(view, key, after=after, heartbeat=keepalive)
        async with aclosing(pages):
            first = await anext(pages, None)
            if first is None:
                return web.Response(status=204)
            if request.method == "HEAD":
                # It would have to follow the run to its end to say nothing.
                return web.Response(headers=stream_headers(shown.form))
            # A client that has an event knows that the run no longer waits to start.
            queue = QueueWatch(view, key) if after is None else None
            async with aclosing(_pieces(request, shown, first, pages, queue)) as pieces:
                return await send_stream(request, shown.form, pieces)


async def _pieces(
    request: web.Request,
    shown: _Shown,
    first: tuple[EventHead, ...],
    pages: AsyncGenerator[tuple[EventHead, ...]],
    queue: QueueWatch | None,
) -> AsyncGenerator[bytes]:
    if first:
        queue = None
        async for piece in _frames(request, shown, first):
            yield piece
    elif frame := await _queued(shown, queue):
        yield frame
    async for page in pages:
        if page:
            queue = None
            async for piece in _frames(request, shown, page):
                yield piece
        else:
            yield await _queued(shown, queue) or shown.form.keepalive(None)


async def _queued(shown: _Shown, queue: QueueWatch | None) -> bytes | None:
    waiting = await queue.change() if queue else None
    if waiting is None:
        return None
    state = state_document(waiting, payloads=shown.payloads)
    # They may be large and do not change.
    del state["parameters"]
    return shown.form.frame(place=None, kind=QUEUED, data=json.dumps(state, ensure_ascii=False))


async def _frames(
    request: web.Request, shown: _Shown, events: tuple[EventHead, ...]
) -> AsyncGenerator[bytes]:
    for event in events:
        if event.after_gap:
            yield shown.form.gap()
        frames = request.app[FRAMES].pieces(
            shown.key, event, form=shown.form, payloads=shown.payloads
        )
        async with aclosing(frames) as pieces:
            async for piece in pieces:
                yield piece


OPERATIONS: Final = (
    Operation(
        id="followRun",
        method="GET",
        path="/v1/runs/{id}/events",
        handler=get_events,
        scopes=(Scope.READ,),
        takes_watch_links=True,
        summary="Follow a run's events.",
        description="Past events come first, then new ones as they happen, each once and in "
        "order. The stream ends after the terminal event.",
        path_parameters=(RUN_ID,),
        query=(TENANT,),
        headers=(LAST_EVENT_ID,),
        answers=(
            Answer(
                status=200,
                description="Server-sent events or lines: `event` is the `ce_type` of the record, "
                "`data` the status event, and `id` the place to resume from.",
                content=STREAMS,
            ),
            Answer(
                status=204,
                description="The run is over, and the client has its last event.",
            ),
        ),
        problems=(ProblemType.UNKNOWN_RUN, ProblemType.UNAVAILABLE, ProblemType.OVERLOADED),
    ),
)
