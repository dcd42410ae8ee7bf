"""Kafka records as plain values, independent of any Kafka client."""

import re
from dataclasses import dataclass
from typing import Final, Self

__all__ = [
    "MAX_HEADERS",
    "MAX_READ_HEADERS",
    "Appended",
    "Headers",
    "IncomingRecord",
    "OutgoingRecord",
    "Position",
    "header",
]

Headers = tuple[tuple[str, bytes], ...]

MAX_HEADERS = 1_000
"""The most headers that a record may have: a million of them would fit into 2 MiB."""

MAX_READ_HEADERS = MAX_HEADERS + 16
"""How many a reader keeps: enough to see that a record has too many, and all of a dead letter."""

_POSITION: Final = re.compile(r"([a-zA-Z0-9._-]{1,249})/([0-9]{1,10})@([0-9]{1,19})")

# The memory of a tuple, a string and bytes, without their characters.
_BYTES_PER_HEADER = 150


@dataclass(frozen=True, order=True)
class Position:
    """The position of a record in Kafka; it never changes, so that it identifies redeliveries."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return `topic/partition@offset`."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str()` writes.

        Raises:
            ValueError: the text is not a position.
        """
        found = _POSITION.fullmatch(text)
        if found is None:
            raise ValueError("A position is topic/partition@offset.")
        return cls(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What an acknowledgement says of a record that was written.

    `timestamp_ms` is when Kafka appended it, in milliseconds of the Unix epoch: its readers see the
    same time.
    """

    position: Position
    timestamp_ms: int


@dataclass(frozen=True, kw_only=True)
class IncomingRecord:
    """A record as read from Kafka; `timestamp_ms` counts from the Unix epoch."""

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def memory(self) -> int:
        """The memory that the record uses, in bytes, roughly."""
        headers = sum(len(name) + len(value) + _BYTES_PER_HEADER for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, kw_only=True)
class OutgoingRecord:
    """A record to write to Kafka."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def size(self) -> int:
        """The size of key, value and headers in bytes, without framing."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


def header(headers: Headers, name: str) -> str | None:
    """Return the last header of that name as text; None if it is absent or not UTF-8."""
    length = len(name)
    for candidate, value in reversed(headers):
        # Most names are equal or differ in length; lower() takes longer than everything else here.
        if candidate == name or (len(candidate) == length and candidate.lower() == name):
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None
