"""GET /v1/runs/{id}/events: server-sent events that resume exactly.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from aiohttp import web

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.status import StatusEvent
from sluice_gateway.domain.models import EventHead
from sluice_gateway.handlers.app_keys import FRAMES, LIMITS, METRICS, RESPONSE_BUDGET, VIEW
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.large_responses import abort, begin, write
from sluice_gateway.handlers.operations import SSE, Answer, Content, Operation
from sluice_gateway.handlers.parameters import (
    LAST_EVENT_ID,
    RUN_ID,
    TENANT,
    last_event,
    run_key,
)
from sluice_gateway.ports import ViewUnavailableError
from sluice_gateway.services.event_frames import EventGoneError
from sluice_gateway.services.event_stream import follow

__all__ = ["OPERATIONS"]

_log = structlog.get_logger(__name__)

_HEADERS: Final = {
    "Content-Type": f"{SSE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
_RETRY: Final = b"retry: 2000\n\n"
_KEEPALIVE: Final = b": keepalive\n\n"
_GAP: Final = b": earlier events are no longer kept\n\n"


async def get_events(request: web.Request) -> web.StreamResponse:
    """Stream the run's events; 204 if the client has the last one, so that it stops asking."""
    key = run_key(request)
    after = last_event(request)
    limits = request.app[LIMITS]
    with request.app[RESPONSE_BUDGET].stream(client_address(request)):
        pages = follow(request.app[VIEW], key, after=after, heartbeat=limits.keepalive)
        async with aclosing(pages):
            first = await anext(pages, None)
            if first is None:
                return web.Response(status=204)
            if request.method == "HEAD":
                # It would have to follow the run to its end to say nothing.
                return web.Response(headers=_HEADERS)
            return await _stream(request, key, first, pages)


async def _stream(
    request: web.Request,
    key: RunKey,
    first: tuple[EventHead, ...],
    pages: AsyncGenerator[tuple[EventHead, ...]],
) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    streams = request.app[METRICS].streams
    streams.inc()
    try:
        await begin(request, response)
        await write(request, response, _RETRY)
        await _send(request, response, key, first)
        async for page in pages:
            if page:
                await _send(request, response, key, page)
            else:
                await write(request, response, _KEEPALIVE)
        await response.write_eof()
    except TimeoutError:
        _log.info("stream cut, its reader does not read", path=request.path)
        abort(request)
    except EventGoneError:
        _log.info("stream cut, the view has dropped what it was sending", path=request.path)
        abort(request)
    except ViewUnavailableError as e:
        _log.warning("stream cut, there is no view", path=request.path, error=str(e))
        abort(request)
    except ConnectionError:
        _log.debug("stream left by its reader", path=request.path)
    except Exception:  # noqa: BLE001 - logged, and the reader comes back
        # Too late for a problem document: a cut stream is asked for again from where it ended.
        _log.exception("stream failed", path=request.path)
        abort(request)
    finally:
        streams.dec()
    return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    key: RunKey,
    events: tuple[EventHead, ...],
) -> None:
    for event in events:
        if event.after_gap:
            await write(request, response, _GAP)
        async with aclosing(request.app[FRAMES].pieces(key, event)) as pieces:
            async for piece in pieces:
                await write(request, response, piece)


OPERATIONS: Final = (
    Operation(
        id="followRun",
        method="GET",
        path="/v1/runs/{id}/events",
        handler=get_events,
        summary="Follow a run's events.",
        description="Past events come first, then new ones as they happen, each once and in "
        "order. The stream ends after the terminal event.",
        path_parameters=(RUN_ID,),
        query=(TENANT,),
        headers=(LAST_EVENT_ID,),
        answers=(
            Answer(
                status=200,
                description="Server-sent events: `event` is the `ce_type` of the record, `data` "
                "the status event, and `id` the place to resume from.",
                content=(Content(media_type=SSE, model=StatusEvent),),
            ),
            Answer(
                status=204,
                description="The run is over, and the client has its last event.",
            ),
        ),
        problems=(ProblemType.UNKNOWN_RUN, ProblemType.UNAVAILABLE, ProblemType.OVERLOADED),
    ),
)
