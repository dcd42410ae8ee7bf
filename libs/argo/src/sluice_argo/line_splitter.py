"""Splits a stream of bytes into lines, however the network has cut it up."""

from collections.abc import Iterator

__all__ = ["LineSplitter", "LineTooLongError"]


class LineTooLongError(ValueError):
    """A line is longer than any Workflow can be."""


class LineSplitter:
    """Keeps the bytes of the line that is not complete yet; `max_bytes` bounds a line."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._begun = bytearray()

    @property
    def incomplete(self) -> bool:
        """Whether a line has begun that has not ended."""
        return bool(self._begun)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that this chunk completes, without line ends; empty ones are left out.

        Raises:
            LineTooLongError: a line is longer than `max_bytes`.
        """
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._take(end)
            if self._begun:
                line = bytes(self._begun)
                self._begun.clear()
                yield line
        self._take(rest)

    def _take(self, part: bytes) -> None:
        if len(self._begun) + len(part) > self._max_bytes:
            raise LineTooLongError(f"A line of the watch is longer than {self._max_bytes} bytes.")
        self._begun += part
