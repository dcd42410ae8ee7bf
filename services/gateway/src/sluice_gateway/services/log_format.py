"""How the lines of a log are written in an answer."""

from enum import Enum
from typing import Final

from sluice_contracts.log_lines import LogLine
from sluice_gateway.domain.log_lines import PlacedLine
from sluice_gateway.services.frame_format import FrameFormat

__all__ = ["LogFormat"]

_FRAMES: Final = {each.value: each for each in FrameFormat}


class LogFormat(Enum):
    """The formats, by their media types; plain text is cut where another says that it goes on."""

    TEXT = "text/plain"
    SSE = "text/event-stream"
    LINES = "application/x-ndjson"

    @property
    def _frames(self) -> FrameFormat | None:
        return _FRAMES.get(self.value)

    def begin(self) -> bytes:
        """Return what comes before all lines."""
        return self._frames.begin() if self._frames else b""

    def is_between_events(self, sent: bytes) -> bool:
        """Return whether what was sent, two bytes at least, ends with a line."""
        if self._frames:
            return self._frames.is_between_events(sent)
        return not sent or sent.endswith(b"\n")

    def line(self, line: PlacedLine) -> bytes:
        """Return a line."""
        if self._frames is None:
            return f"{line.text}\n".encode()
        data = LogLine(time=line.time, text=line.text, truncated=line.truncated).model_dump_json()
        place = None if line.place is None else str(line.place)
        return self._frames.frame(place=place, kind="log", data=data)

    def keepalive(self) -> bytes:
        """Return what says that nothing was written; plain text cannot."""
        return self._frames.keepalive(None) if self._frames else b""

    def end(self) -> bytes:
        """Return what says that the log is complete, or was when it was read."""
        return self._frames.frame(place=None, kind="end", data="null") if self._frames else b""

    def access_ended(self) -> bytes | None:
        """Return what says that the reader's access has ended; None: the answer is cut."""
        return self._frames.access_ended() if self._frames else None
