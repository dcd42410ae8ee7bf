"""Kafka records as plain values, whoever reads or writes them."""

from dataclasses import dataclass

__all__ = ["MAX_HEADERS", "Headers", "IncomingRecord", "OutgoingRecord", "Position", "header"]

Headers = tuple[tuple[str, bytes], ...]

MAX_HEADERS = 1_000
"""Headers that a record may have: a million of them fit into 2 MiB."""

# What a tuple, a text and bytes take up besides their characters.
_BYTES_PER_HEADER = 150


@dataclass(frozen=True, order=True)
class Position:
    """Where a record stands; never changes, so that a redelivery is recognised by it."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Write it as `topic/partition@offset`."""
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, kw_only=True)
class IncomingRecord:
    """A record as it was read."""

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes up, about."""
        headers = sum(len(name) + len(value) + _BYTES_PER_HEADER for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, kw_only=True)
class OutgoingRecord:
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes that it takes up, framing aside."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


def header(headers: Headers, name: str) -> str | None:
    """Give the last header of that name, as text; None if there is none or it is not UTF-8."""
    for candidate, value in reversed(headers):
        if candidate.lower() == name:
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None
