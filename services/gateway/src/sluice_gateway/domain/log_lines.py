"""From the bytes of a log to lines with places, from which a reader goes on; pure.

Each line begins with its time, as the kubelet writes it. A place names a line by this time, and by
how many lines of the very same time came with it. It is found again by its position in the log,
because the lines of two streams may be out of order by microseconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Self

__all__ = ["LogPlace", "LogText", "PlacedLine"]

_TIME: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")
_PLACE: Final = re.compile(r"([0-9]{1,19}):([0-9]{1,9})")
_LONGEST_TIME: Final = 36
_SECOND: Final = 1_000_000_000


class LogPlace(NamedTuple):
    """A line: its time in nanoseconds since 1970, and its number among those of this time."""

    time: int
    number: int

    def __str__(self) -> str:
        """Return the line's `id` in a stream."""
        return f"{self.time}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `str` returned; None if it has not."""
        found = _PLACE.fullmatch(text)
        return None if found is None else cls(int(found[1]), int(found[2]))

    @property
    def second(self) -> int:
        """The second from which the log has to be read to find the line, since 1970."""
        return self.time // _SECOND


@dataclass(frozen=True, kw_only=True)
class PlacedLine:
    """A line of a log; one without a time has no place, and is the rest of another."""

    place: LogPlace | None
    time: str | None
    text: str
    truncated: bool


class LogText:
    """Takes a log piece by piece; of a line that is not complete it keeps `max_line` bytes.

    `after` is the line behind which to begin.
    """

    def __init__(self, *, max_line: int, after: LogPlace | None = None) -> None:
        self._keep = _LONGEST_TIME + max_line
        self._max_line = max_line
        self._begun = bytearray()
        self._left_out = False
        self._last = after
        self._sought = after

    @property
    def last(self) -> LogPlace | None:
        """The place of the last line that was given out; that of `after` before the first one."""
        return self._last

    def feed(self, chunk: bytes) -> Iterator[PlacedLine]:
        """Yield the lines that this piece completes; an empty line has not even a time."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._take(chunk, start, end)
            start = end + 1
            yield from self.flush()
        self._take(chunk, start, len(chunk))

    def flush(self) -> Iterator[PlacedLine]:
        """Yield the line that has begun, if any."""
        raw, left_out = bytes(self._begun), self._left_out
        self._begun.clear()
        self._left_out = False
        if raw and (line := self._line(raw, left_out=left_out)) is not None:
            yield line

    def _take(self, chunk: bytes, start: int, end: int) -> None:
        room = self._keep - len(self._begun)
        self._begun += chunk[start : min(end, start + room)]
        self._left_out = self._left_out or end - start > room

    def _line(self, raw: bytes, *, left_out: bool) -> PlacedLine | None:
        found = _TIME.match(raw)
        time = None if found is None else _nanoseconds(found)
        text = raw if found is None else raw[found.end() :]
        if self._is_before(time):
            return None
        place = None
        if time is not None:
            is_same = self._last is not None and self._last.time == time
            place = LogPlace(time, self._last.number + 1 if is_same and self._last else 1)
            self._last = place
        return PlacedLine(
            place=place,
            time=None if found is None else found[0].strip().decode(),
            text=text[: self._max_line].removesuffix(b"\r").decode(errors="replace"),
            truncated=left_out or len(text) > self._max_line,
        )

    def _is_before(self, time: int | None) -> bool:
        """Return whether the reader has the line already."""
        sought = self._sought
        if sought is None:
            return False
        if time == sought.time:
            left = sought.number - 1
            # The line itself is had, too: the one behind it is the first one to give out.
            self._sought = None if left == 0 else LogPlace(sought.time, left)
            return True
        if time is not None and time > sought.time + _SECOND:
            # The line is not kept any more, so all that follows is new.
            self._sought = None
            return False
        return True


def _nanoseconds(found: re.Match[bytes]) -> int | None:
    zone = found[3].decode().replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(found[1].decode() + zone)
    except ValueError:
        return None
    return int(moment.timestamp()) * _SECOND + int((found[2] or b"").ljust(9, b"0"))
