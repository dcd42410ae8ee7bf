"""Sends streams of events: a piece at a time, each within a time, and cut if that fails."""

from collections.abc import AsyncGenerator
from typing import Any, Final, Protocol

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sluice_contracts.status import StatusEvent
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.handlers.app_keys import LIMITS, METRICS
from sluice_gateway.handlers.identification import AccessWatch
from sluice_gateway.handlers.large_responses import abort, begin, refuse_closed, write
from sluice_gateway.handlers.logged_path import logged_path
from sluice_gateway.handlers.operations import NDJSON, SSE, Content
from sluice_gateway.handlers.routing import MEDIA_TYPE
from sluice_gateway.ports import LogTruncatedError, ViewUnavailableError
from sluice_gateway.services.event_frames import EventGoneError
from sluice_gateway.services.frame_format import FrameFormat

__all__ = [
    "STREAMS",
    "EventLine",
    "StreamFormat",
    "frame_format",
    "send_stream",
    "stream_headers",
]

_log = structlog.get_logger(__name__)

# Silence is filled by a keepalive, so that a piece comes at least that often.
_LOOKS_A_KEEPALIVE: Final = 3


class EventLine(BaseModel):
    """A line of a stream as NDJSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = Field(description="The place to resume from; null if there is none.")
    event: str = Field(
        description="The `ce_type` of the record, `keepalive`, `gap` or `access-ended`."
    )
    data: StatusEvent | None


class StreamFormat(Protocol):
    """How a stream is written."""

    @property
    def value(self) -> str:
        """The media type."""

    def begin(self) -> bytes:
        """Return what comes before all events."""

    def is_between_events(self, sent: bytes) -> bool:
        """Return whether a stream that ends with `sent`, two bytes at least, ends with an event."""

    def access_ended(self) -> bytes | None:
        """Return what says that the access of the reader has ended; None: the stream is cut."""


STREAMS: Final[tuple[Content, ...]] = (
    Content(media_type=SSE, model=StatusEvent),
    Content(media_type=NDJSON, model=EventLine),
)
"""What a stream is given as."""


def frame_format(request: web.Request) -> FrameFormat:
    """Return the format that the client prefers."""
    return FrameFormat(request[MEDIA_TYPE])


def stream_headers(form: StreamFormat) -> dict[str, str]:
    """Return the headers of a stream."""
    return {
        "Content-Type": f"{form.value}; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }


async def send_stream(
    request: web.Request, form: StreamFormat, pieces: AsyncGenerator[bytes, Any]
) -> web.StreamResponse:
    """Send the pieces as they come; a stream that fails is cut, and resumed by its reader.

    It ends when its client could not open it any more, or would see something else. The client
    connects again, and is refused, or gets what may be seen by then.
    """
    response = web.StreamResponse(headers=stream_headers(form))
    streams = request.app[METRICS].streams
    streams.inc()
    try:
        await begin(request, response)
        await _send_pieces(request, response, form, pieces)
        await response.write_eof()
    except TimeoutError:
        _log.info("stream cut, its reader does not read", path=logged_path(request))
        abort(request)
    except (EventGoneError, LogTruncatedError):
        _log.info("stream cut, the view has dropped what it was sending", path=logged_path(request))
        abort(request)
    except ProblemError as e:
        _log.info("stream cut", path=logged_path(request), reason=e.problem.detail)
        abort(request)
    except ViewUnavailableError as e:
        _log.warning("stream cut, there is no view", path=logged_path(request), error=str(e))
        abort(request)
    except ConnectionError:
        _log.debug("stream left by its reader", path=logged_path(request))
    except Exception:  # noqa: BLE001 - logged, and the reader comes back
        # Too late for a problem document: a cut stream is asked for again from where it ended.
        _log.exception("stream failed", path=logged_path(request))
        abort(request)
    finally:
        streams.dec()
    return response


async def _send_pieces(
    request: web.Request,
    response: web.StreamResponse,
    form: StreamFormat,
    pieces: AsyncGenerator[bytes, Any],
) -> None:
    access = AccessWatch(request, every=request.app[LIMITS].keepalive / _LOOKS_A_KEEPALIVE)
    sent = form.begin()
    if sent:
        await write(request, response, sent)
    async for piece in pieces:
        # Not within an event: its reader would take half of it for the whole.
        if form.is_between_events(sent) and await access.has_ended():
            _log.info("stream ended, its access has", path=logged_path(request))
            ending = form.access_ended()
            if ending is None:
                abort(request)
            else:
                await write(request, response, ending)
            return
        if piece:
            await write(request, response, piece)
            sent = (sent + piece[-2:])[-2:]
        else:
            # Silence, in a format that cannot say so.
            refuse_closed(request)
