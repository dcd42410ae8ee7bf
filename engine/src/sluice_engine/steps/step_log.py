"""The output of a step as a container runtime keeps it: lines with their times, the newest ones."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["LogQuery", "StepLog", "has_log", "read_log"]

_NEWER: Final = "log"
_OLDER: Final = "log.1"
_MAX_LINE: Final = 64 * 1024
"""Bytes of a line; a longer one becomes several lines."""
_BILLION: Final = 1_000_000_000


class StepLog:
    """What one run of a step writes, in its folder; the newest lines are kept.

    A file that has half of `max_bytes` takes the place of the older one.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._half = max_bytes // 2
        self._file = (folder / _NEWER).open("ab")
        self._size = 0
        self._newest_ns = 0
        self._begun: dict[str, bytearray] = {}
        self.closed = False
        self.changed = asyncio.Event()

    def write(self, stream: str, chunk: bytes) -> None:
        """Take a piece of `stdout` or `stderr`; its lines are written once they are complete."""
        begun = self._begun.setdefault(stream, bytearray())
        *ends, rest = chunk.split(b"\n")
        lines = bytearray()
        for end in ends:
            begun += end
            lines += self._cut(begun) + self._line(begun)
            begun.clear()
        begun += rest
        lines += self._cut(begun)
        if lines:
            self._append(bytes(lines))

    def close(self) -> None:
        """Write what has no line end, and note that nothing follows."""
        rest = b"".join(self._line(begun) for begun in self._begun.values() if begun)
        if rest:
            self._append(rest)
        self._file.close()
        self.closed = True
        self.changed.set()

    def _cut(self, begun: bytearray) -> bytes:
        """Take lines of the largest size off a line that is longer."""
        lines = b""
        while len(begun) > _MAX_LINE:
            lines += self._line(begun[:_MAX_LINE])
            del begun[:_MAX_LINE]
        return lines

    def _line(self, text: bytes | bytearray) -> bytes:
        # Each line has a time of its own, as a runtime that asks the clock for each has.
        self._newest_ns = max(time.time_ns(), self._newest_ns + 1)
        seconds, nanoseconds = divmod(self._newest_ns, _BILLION)
        moment = datetime.fromtimestamp(seconds, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z ".encode() + text + b"\n"

    def _append(self, lines: bytes) -> None:
        if self._size + len(lines) > self._half:
            self._file.close()
            (self._folder / _NEWER).replace(self._folder / _OLDER)
            self._file = (self._folder / _NEWER).open("ab")
            self._size = 0
        self._file.write(lines)
        self._size += len(lines)
        self._file.flush()
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class LogQuery:
    """What `pods/log` asks for: the last `tail` lines, lines since a second, with their times."""

    def __init__(self, *, tail: int | None, since: datetime | None, timestamps: bool) -> None:
        self._tail = tail
        self._timestamps = timestamps
        # The API server passes whole seconds on to the kubelet.
        self._since = b"" if since is None else f"{since:%Y-%m-%dT%H:%M:%S}".encode()

    def first(self, lines: list[bytes]) -> bytes:
        """Return what is shown of the lines that are there already."""
        since = [line for line in lines if line >= self._since]
        return self.more(since if self._tail is None else since[len(since) - self._tail :])

    def more(self, lines: list[bytes]) -> bytes:
        """Return what is shown of lines that follow."""
        shown = lines if self._timestamps else [line.partition(b" ")[2] for line in lines]
        return b"".join(shown)


def has_log(folder: Path) -> bool:
    """Return whether a step has run in the folder."""
    return (folder / _NEWER).is_file()


async def read_log(
    folder: Path, query: LogQuery, *, follow: StepLog | None
) -> AsyncGenerator[bytes]:
    """Yield the lines that the query selects; with `follow`, also those that are still to come."""
    older = (folder / _OLDER).read_bytes() if (folder / _OLDER).is_file() else b""
    file = (folder / _NEWER).open("rb")
    try:
        yield query.first((older + file.read()).splitlines(keepends=True))
        while follow is not None:
            closed, changed = follow.closed, follow.changed
            if lines := file.read().splitlines(keepends=True):
                yield query.more(lines)
            elif (folder / _NEWER).stat().st_ino != os.fstat(file.fileno()).st_ino:
                file.close()
                file = (folder / _NEWER).open("rb")
            elif closed:
                return
            else:
                await changed.wait()
    finally:
        file.close()
