"""GET /v1/runs/{id}/steps/{step}/logs: what a step writes, and has written."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sluice_contracts.log_lines import LogLine
from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.log_lines import LogPlace, PlacedLine
from sluice_gateway.domain.logged_steps import find_logged_step
from sluice_gateway.handlers.app_keys import IDENTITY, LIMITS, READER, RESPONSE_BUDGET, STEP_LOGS
from sluice_gateway.handlers.auditing import about
from sluice_gateway.handlers.client_address import client_address
from sluice_gateway.handlers.operations import (
    NDJSON,
    SSE,
    Answer,
    Content,
    Operation,
    Parameter,
    QueryParameter,
)
from sluice_gateway.handlers.parameters import RUN_ID, TENANT, run_key
from sluice_gateway.handlers.routing import MEDIA_TYPE
from sluice_gateway.handlers.streams import send_stream, stream_headers
from sluice_gateway.services.log_format import LogFormat
from sluice_gateway.services.response_budget import PIECE
from sluice_gateway.services.step_logs import LogPart
from sluice_runtime.heartbeats import with_heartbeats

__all__ = ["OPERATIONS"]

_TEXT: Final = "text/plain"
_PLACE_PATTERN: Final = r"^([0-9]{1,19}:[0-9]{1,9})?$"


class LogStreamLine(BaseModel):
    """A line of a log as NDJSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = Field(description="The place to resume from; null if there is none.")
    event: str = Field(description="`log`, `keepalive`, `end` or `access-ended`.")
    data: LogLine | None


async def get_logs(request: web.Request) -> web.StreamResponse:
    """Send the log of a step, if the run and its payloads may be read."""
    key = run_key(request)
    about(request, key)
    access = request[IDENTITY].access
    state = await request.app[READER].state(key, access)
    about(request, key, workflow=state.workflow)
    if not access.allows_for_run(Scope.PAYLOADS, key, workflow=state.workflow):
        raise ProblemError.of(
            ProblemType.FORBIDDEN,
            f"A log may hold values, so this needs the scope {Scope.PAYLOADS} for the run.",
        )
    step = find_logged_step(state, request.match_info["step"])
    part = LogPart(
        tail=TAIL.of(request), after=_after(request), follow=FOLLOW.of(request) == "true"
    )
    form, logs = LogFormat(request[MEDIA_TYPE]), request.app[STEP_LOGS]
    peer = client_address(request)
    with request.app[RESPONSE_BUDGET].stream(peer):
        async with logs.open(step, part, peer=peer) as lines, aclosing(lines):
            if request.method == "HEAD":
                return web.Response(headers=stream_headers(form))
            async with aclosing(_pieces(request, form, lines)) as pieces:
                return await send_stream(request, form, pieces)


async def _pieces(
    request: web.Request, form: LogFormat, lines: AsyncGenerator[tuple[PlacedLine, ...]]
) -> AsyncGenerator[bytes]:
    left = request.app[STEP_LOGS].max_bytes
    async with aclosing(with_heartbeats(lines, every=request.app[LIMITS].keepalive)) as batches:
        async for batch in batches:
            if batch is None:
                yield form.keepalive()
                continue
            piece = bytearray()
            for line in batch:
                piece += form.line(line)
                # A piece ends with a line, unless the line alone is larger.
                while len(piece) >= PIECE:
                    left -= PIECE
                    yield bytes(piece[:PIECE])
                    del piece[:PIECE]
            left -= len(piece)
            yield bytes(piece)
            if left <= 0:
                if form is LogFormat.TEXT:
                    raise ProblemError.of(ProblemType.TOO_LARGE, "The log is too long.")
                # Its reader resumes behind the last line.
                return
    yield form.end()


def _after(request: web.Request) -> LogPlace | None:
    value = request.headers.get("Last-Event-ID")
    if not value:
        return None
    place = LogPlace.parse(value)
    if place is None:
        raise web.HTTPBadRequest(
            text="Last-Event-ID must be the id of a line of this log, as in 1764504000123456789:1."
        )
    return place


TAIL: Final[QueryParameter[int | None]] = QueryParameter(
    name="tail",
    type=Annotated[int, Field(ge=0, le=1_000_000)],
    description="Only so many of the last lines. It means nothing with `Last-Event-ID`.",
)
FOLLOW: Final[QueryParameter[Literal["true", "false"]]] = QueryParameter(
    name="follow",
    type=Literal["true", "false"],
    description="Send also what is still to come, until the step has ended.",
    default="false",
)

OPERATIONS: Final = (
    Operation(
        id="getStepLogs",
        method="GET",
        path="/v1/runs/{id}/steps/{step}/logs",
        handler=get_logs,
        scopes=(Scope.PAYLOADS,),
        summary="Read or follow the log of a step.",
        description="What the step's container writes to its standard output and error, while its "
        "pod is there. It also needs `runs:read`.",
        path_parameters=(
            RUN_ID,
            Parameter(
                name="step",
                type=str,
                description="The id of the step, or its name if no other step has it.",
                required=True,
            ),
        ),
        query=(TENANT, TAIL, FOLLOW),
        headers=(
            Parameter(
                name="Last-Event-ID",
                type=Annotated[str, StringConstraints(pattern=_PLACE_PATTERN)],
                description="The `id` of the last line that the client has; the log goes on behind "
                "it. Empty before the first line.",
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="The lines as text; or as server-sent events or lines of JSON, which "
                "have times and places, and `end` once the log is complete.",
                content=(
                    Content(media_type=_TEXT, model=str),
                    Content(media_type=SSE, model=LogLine),
                    Content(media_type=NDJSON, model=LogStreamLine),
                ),
            ),
        ),
        problems=(
            ProblemType.UNKNOWN_RUN,
            ProblemType.NOT_FOUND,
            ProblemType.NOT_APPLICABLE,
            ProblemType.LOG_GONE,
            ProblemType.LOGS_DISABLED,
            ProblemType.UNAVAILABLE,
            ProblemType.OVERLOADED,
        ),
    ),
)
