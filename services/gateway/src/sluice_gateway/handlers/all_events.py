"""GET /v1/events: the events of all runs, as one stream that resumes exactly on any replica."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final

from aiohttp import web
from pydantic import StringConstraints

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.partitions import PARTITION
from sluice_gateway.domain.run_query import InvalidCursorError, StreamPlace
from sluice_gateway.handlers.app_keys import (
    IDENTITY,
    LIMITS,
    RESPONSE_BUDGET,
    SHARED_PAGES,
    VIEW,
)
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.operations import Answer, Operation, Parameter
from sluice_gateway.handlers.run_filters import FILTER, run_filter
from sluice_gateway.handlers.streams import STREAMS, frame_format, send_stream, stream_headers
from sluice_gateway.ports import LogTruncatedError
from sluice_gateway.services.all_event_stream import follow_all
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.response_budget import PIECE
from sluice_gateway.services.run_reader import view_problems
from sluice_gateway.services.shared_pages import FramePage

__all__ = ["OPERATIONS"]

# Some thousand partitions.
_LONGEST_PLACE: Final = 32 * 1024

_PAIR: Final = rf"{PARTITION}:[0-9]{{1,18}}"

_LAST_EVENT_ID: Final = Parameter(
    name="Last-Event-ID",
    type=Annotated[
        str,
        StringConstraints(pattern=rf"^({_PAIR}(,{_PAIR})*)?$"),
    ],
    description="The `id` of the last event that the client has; the stream resumes behind it.",
)


async def get_all_events(request: web.Request) -> web.StreamResponse:
    """Stream the events of all runs that fulfil the filter, from now on or behind an event."""
    query, after = run_filter(request, Scope.READ), _place(request)
    limits, form = request.app[LIMITS], frame_format(request)
    with request.app[RESPONSE_BUDGET].stream(client_address(request)):
        pages = follow_all(
            request.app[VIEW],
            request.app[SHARED_PAGES],
            query,
            after=after,
            form=form,
            payloads=request[IDENTITY].access.reach(Scope.PAYLOADS),
            heartbeat=limits.keepalive,
        )
        async with aclosing(pages):
            first = await _first(pages)
            if first is None or request.method == "HEAD":
                return web.Response(headers=stream_headers(form))
            async with aclosing(_pieces(form, first, pages)) as pieces:
                return await send_stream(request, form, pieces)


async def _first(pages: AsyncGenerator[FramePage]) -> FramePage | None:
    try:
        with view_problems():
            return await anext(pages, None)
    except LogTruncatedError as e:
        raise ProblemError.of(
            ProblemType.LOG_TRUNCATED,
            f"{e} List the runs, and follow them without Last-Event-ID.",
        ) from e


async def _pieces(
    form: FrameFormat, first: FramePage, pages: AsyncGenerator[FramePage]
) -> AsyncGenerator[bytes]:
    page = first
    while True:
        if not page.frames:
            yield form.keepalive(str(page.place) or None)
        for begin in range(0, len(page.frames), PIECE):
            yield page.frames[begin : begin + PIECE]
        following = await anext(pages, None)
        if following is None:
            return
        page = following


def _place(request: web.Request) -> StreamPlace | None:
    value = request.headers.get("Last-Event-ID")
    if not value:
        # EventSource leaves it empty until an event has had an id.
        return None
    try:
        if len(value) <= _LONGEST_PLACE:
            return StreamPlace.parse(value)
    except InvalidCursorError:
        pass
    raise web.HTTPBadRequest(
        text="Last-Event-ID must be the id of an event of this stream, as in 0:17,1:4711."
    )


OPERATIONS: Final = (
    Operation(
        id="followRuns",
        method="GET",
        path="/v1/events",
        handler=get_all_events,
        scopes=(Scope.READ,),
        summary="Follow the events of all runs.",
        description="The stream begins with the events that are still to come, or behind the one "
        "of `Last-Event-ID`. Each event comes once, those of a run in order. The phases of the "
        "filter are those of the events; everything else is about the run as it is now.",
        query=FILTER,
        headers=(_LAST_EVENT_ID,),
        answers=(
            Answer(
                status=200,
                description="Server-sent events or lines. `id` has the next offset of each "
                "partition of the status topics, to resume from on any replica.",
                content=STREAMS,
            ),
        ),
        problems=(ProblemType.LOG_TRUNCATED,),
    ),
)
