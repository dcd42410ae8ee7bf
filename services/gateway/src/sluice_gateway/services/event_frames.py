"""Events as they stand in a stream, rendered once for all who follow the run."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_gateway.domain.models import EventHead, EventPlace, RunEvent
from sluice_gateway.domain.redaction import redacted_text
from sluice_gateway.ports import RunView
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.response_budget import PIECE

__all__ = ["EventFrames", "EventGoneError"]

# What is read at a time. One event may be larger: a status record has up to 1.6 MB.
_PAGE: Final = 256 * 1024

_Key = tuple[RunKey, EventPlace, FrameFormat, bool]


class EventGoneError(Exception):
    """The view has dropped the event while it was being sent."""


class EventFrames:
    """Keeps the frames that were used last, `max_bytes` of them; that has to be some pages.

    No reader keeps a frame: one that is slow asks for it again, piece by piece. So memory does not
    depend on how many read, nor on how far they are apart.
    """

    def __init__(self, *, view: RunView, max_bytes: int) -> None:
        self._view = view
        self._max_bytes = max_bytes
        self._frames: OrderedDict[_Key, bytes] = OrderedDict()
        self._bytes = 0
        # One page at a time is read: the view has one thread, and what it has read is in memory.
        self._reading = asyncio.Lock()

    @property
    def held(self) -> int:
        """The bytes of all frames."""
        return self._bytes

    async def pieces(
        self,
        key: RunKey,
        event: EventHead,
        *,
        form: FrameFormat = FrameFormat.SSE,
        payloads: bool,
    ) -> AsyncGenerator[bytes]:
        """Yield the event's frame, a piece at a time; nothing if the view has dropped the event.

        `payloads` says whether the event is shown with its payloads.

        Raises:
            EventGoneError: it was dropped behind the first piece.
            ViewUnavailableError: the view cannot be read.
        """
        begin, size = 0, 1
        while begin < size:
            frame = await self._frame((key, event.place, form, payloads), event)
            if frame is None:
                if begin:
                    raise EventGoneError(f"The event {event.place} was dropped.")
                return
            size = len(frame)
            piece = frame[begin : begin + PIECE]
            # Not even a reference stays while the reader takes its time.
            del frame
            yield piece
            begin += PIECE

    async def _frame(self, wanted: _Key, event: EventHead) -> bytes | None:
        found = self._kept(wanted)
        if found is not None:
            return found
        async with self._reading:
            # A caller before this one may have read the same page.
            found = self._kept(wanted)
            if found is None:
                key, _, form, payloads = wanted
                page = await self._view.contents(key, event.sequence, max_bytes=_PAGE)
                for each in page:
                    self._keep((key, each.place, form, payloads), each)
                found = self._kept(wanted)
                self._drop_oldest()
        return found

    def _kept(self, wanted: _Key) -> bytes | None:
        frame = self._frames.get(wanted)
        if frame is not None:
            self._frames.move_to_end(wanted)
        return frame

    def _keep(self, wanted: _Key, event: RunEvent) -> None:
        self._bytes -= len(self._frames.pop(wanted, b""))
        _, _, form, payloads = wanted
        data = event.data if payloads else redacted_text(event.data)
        frame = form.frame(place=str(event.place), kind=event.type, data=data)
        self._frames[wanted] = frame
        self._bytes += len(frame)

    def _drop_oldest(self) -> None:
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._frames.popitem(last=False)[1])
