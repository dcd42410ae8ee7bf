"""How events are written in a stream."""

import json
from enum import Enum

__all__ = ["FrameFormat"]


class FrameFormat(Enum):
    """The formats, by their media types. The text of an event's place is its id."""

    SSE = "text/event-stream"
    """https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    LINES = "application/x-ndjson"
    """A JSON object with `id`, `event` and `data` on each line."""

    def begin(self) -> bytes:
        """Return what comes before all events."""
        return b"retry: 2000\n\n" if self is FrameFormat.SSE else b""

    def is_between_events(self, sent: bytes) -> bool:
        """Return whether a stream that ends with `sent`, two bytes at least, ends with an event."""
        return not sent or sent.endswith(b"\n\n" if self is FrameFormat.SSE else b"\n")

    def frame(self, *, place: str | None, kind: str, data: str) -> bytes:
        """Return an event; `data` is JSON on one line. Without a place none resumes behind it."""
        if self is FrameFormat.SSE:
            head = "" if place is None else f"id: {place}\n"
            return f"{head}event: {kind}\ndata: {data}\n\n".encode()
        return f'{{"id":{json.dumps(place)},"event":{json.dumps(kind)},"data":{data}}}\n'.encode()

    def keepalive(self, place: str | None) -> bytes:
        """Return what says that nothing has happened; with a place to resume from, if given."""
        if self is FrameFormat.SSE:
            # An id without data is noted by EventSource, and no event is dispatched.
            head = "" if place is None else f"id: {place}\n"
            return f": keepalive\n{head}\n".encode()
        return self.frame(place=place, kind="keepalive", data="null")

    def access_ended(self) -> bytes:
        """Return what says that the stream ends because its reader's access has."""
        if self is FrameFormat.SSE:
            return b": access ended, connect again\n\n"
        return self.frame(place=None, kind="access-ended", data="null")

    def gap(self) -> bytes:
        """Return what says that earlier events are missing."""
        if self is FrameFormat.SSE:
            return b": earlier events are no longer kept\n\n"
        return self.frame(place=None, kind="gap", data="null")
