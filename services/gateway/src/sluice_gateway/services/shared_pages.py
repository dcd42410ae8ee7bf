"""Pages of the stream of all events, read and rendered once for all who stand at one place."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.models import StreamEvent
from sluice_gateway.domain.reach import Reach
from sluice_gateway.domain.redaction import redacted_text
from sluice_gateway.domain.run_query import RunFilter, StreamPlace
from sluice_gateway.ports import RunView
from sluice_gateway.services.frame_format import FrameFormat
from sluice_gateway.services.response_budget import PIECE

__all__ = ["FramePage", "SharedPages"]

_MOST_EVENTS: Final = 500
# One event may be larger: a status record has up to 1.6 MB.
_MOST_BYTES: Final = 4 * PIECE
_RETRY_AFTER_S: Final = 5

_Key = tuple[RunFilter, str, FrameFormat, Reach]


@dataclass(frozen=True, kw_only=True)
class FramePage:
    """Events as they are sent, and the place behind them."""

    frames: bytes
    place: StreamPlace


@dataclass(kw_only=True)
class _Held:
    page: FramePage
    readers: int = 0

    @property
    def size(self) -> int:
        return len(self.page.frames)


class SharedPages:
    """Holds the pages that are being sent, and those that were used last: `max_bytes` of them.

    Events never change, so a page stays right however many follow later. Memory depends on how far
    the readers are apart, not on their number. If readers hold more than `max_bytes`, one that
    wants another page has to leave, and may resume.
    """

    def __init__(self, *, view: RunView, max_bytes: int) -> None:
        self._view = view
        self._max_bytes = max_bytes
        self._in_use: dict[_Key, _Held] = {}
        # The one that was read last is the last.
        self._unread: OrderedDict[_Key, _Held] = OrderedDict()
        self._bytes = 0
        # One page at a time is read: it is in memory before it is counted.
        self._reading = asyncio.Lock()

    @property
    def held(self) -> int:
        """The bytes of all pages."""
        return self._bytes

    @asynccontextmanager
    async def page(
        self, query: RunFilter, *, after: StreamPlace, form: FrameFormat, payloads: Reach
    ) -> AsyncIterator[FramePage]:
        """Give the next events of the runs that fulfil the query, and hold them meanwhile.

        Events of runs outside `payloads` are without theirs. A page is shared by readers who may
        see the same runs, and the same payloads.

        Raises:
            LogTruncatedError: events behind `after` are no longer kept.
            ViewUnavailableError: the view cannot be read.
            ProblemError: OVERLOADED, the readers hold too much.
        """
        key = query, str(after), form, payloads
        held = await self._hold(key, after)
        try:
            yield held.page
        finally:
            self._release(key, held)

    async def _hold(self, key: _Key, after: StreamPlace) -> _Held:
        async with self._reading:
            held = self._in_use.get(key) or self._unread.pop(key, None)
            if held is None:
                held = _Held(page=await self._read(key, after))
                self._make_room(held.size)
                self._bytes += held.size
            held.readers += 1
            if held.size:
                self._in_use[key] = held
        return held

    def _release(self, key: _Key, held: _Held) -> None:
        held.readers -= 1
        if held.size and not held.readers:
            self._unread[key] = self._in_use.pop(key)

    def _make_room(self, size: int) -> None:
        while self._unread and self._bytes + size > self._max_bytes:
            _, dropped = self._unread.popitem(last=False)
            self._bytes -= dropped.size
        if self._bytes + size > self._max_bytes:
            raise ProblemError.of(
                ProblemType.OVERLOADED,
                "The readers of the stream of all events are too far apart. Resume after the time "
                "in Retry-After.",
                retry_after=_RETRY_AFTER_S,
            )

    async def _read(self, key: _Key, after: StreamPlace) -> FramePage:
        query, _, form, payloads = key
        page = await self._view.all_events(
            query, after=after, limit=_MOST_EVENTS, max_bytes=_MOST_BYTES
        )
        frames = (
            form.frame(place=str(each.place), kind=each.type, data=_data(each, payloads))
            for each in page.events
        )
        return FramePage(frames=b"".join(frames), place=page.place)


def _data(event: StreamEvent, payloads: Reach) -> str:
    tenant = event.key.tenant
    if payloads.has(tenant=tenant, workflow=None):
        return event.data
    # Only then is the workflow needed, which the event states.
    if payloads.has_tenant(tenant) and payloads.has(
        tenant=tenant, workflow=json.loads(event.data)["workflow"]
    ):
        return event.data
    return redacted_text(event.data)
