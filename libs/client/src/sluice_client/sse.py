"""Reads server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["EventParser", "ServerSentEvent"]


@dataclass(frozen=True, kw_only=True)
class ServerSentEvent:
    """An event; `last_id` is the id to resume from, which an earlier event may have set."""

    type: str
    data: str
    last_id: str


@dataclass(kw_only=True)
class EventParser:
    """Takes the bytes of a stream in any portions.

    `place` is where the stream can be resumed: behind the last event, or at the id of a comment
    behind that. An id alone, which `last_id` has, may be what is left of an event that was cut.
    `blocks` counts what has ended with an empty line. `retry_ms` is how long to wait before the
    stream is resumed, None if it does not say.
    """

    last_id: str = ""
    place: str = ""
    blocks: int = 0
    retry_ms: int | None = None
    _type: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None
    _commented: bool = False
    _line: list[str] = field(default_factory=list)
    _skips_line_feed: bool = False
    _begun: bool = False
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def feed(self, data: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that these bytes complete; they have to be read to the end."""
        for line in self._lines(self._decoder.decode(data)):
            if not line:
                event = self._dispatch()
                if event is not None:
                    yield event
                continue
            name, _, value = line.partition(":")
            self._set(name, value.removeprefix(" "))

    def _lines(self, text: str) -> Iterator[str]:
        if not text:
            return
        if not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        # A line ends with CR, LF or both. What follows a CR may come with the next bytes.
        if self._skips_line_feed:
            text = text.removeprefix("\n")
        self._skips_line_feed = text.endswith("\r") or (self._skips_line_feed and not text)
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            yield "".join([*self._line, line])
            self._line.clear()
        if rest:
            self._line.append(rest)

    def _set(self, name: str, value: str) -> None:
        match name:
            case "":
                self._commented = True
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        if self._id is not None:
            self.last_id = self._id
        data, kind = self._data, self._type
        if data or self._commented:
            self.place = self.last_id
        self._data, self._type, self._commented = [], "", False
        self.blocks += 1
        if not data:
            return None
        return ServerSentEvent(type=kind or "message", data="\n".join(data), last_id=self.last_id)
