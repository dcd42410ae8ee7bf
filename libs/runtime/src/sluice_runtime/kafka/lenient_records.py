"""A reader for records whose header names are not UTF-8, which Kafka accepts.

aiokafka fails on such a record, and its partition is stuck: each fetch returns the record again and
fails before the ones after it. Any producer could stop every consumer with one record.
"""

import itertools
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, SupportsIndex, overload

from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from sluice_contracts.records import MAX_READ_HEADERS

__all__ = ["LenientRecords"]

# Base offset and length, which precede each batch: https://kafka.apache.org/documentation/#recordbatch
_PREFIX = struct.Struct(">qi")


class LenientRecords:
    """A replacement for aiokafka's MemoryRecords: the batches of one fetched partition."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._rest = memoryview(data)

    def size_in_bytes(self) -> int:
        """Return the size of all batches in bytes, including an incomplete one at the end."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Return whether there is another complete batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> "_LenientBatch":
        """Return the next batch."""
        _, length = _PREFIX.unpack_from(self._rest)
        end = _PREFIX.size + length
        raw, self._rest = self._rest[:end], self._rest[end:]
        return _LenientBatch(self._records.next_batch(), raw)


class _LenientBatch:
    """A batch of aiokafka that is read a second time, leniently, if aiokafka fails on it."""

    def __init__(self, batch: Any, raw: memoryview) -> None:  # noqa: ANN401 - aiokafka is untyped
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the batch has it
        return getattr(self._batch, name)

    def __next__(self) -> Any:  # noqa: ANN401 - a transaction's marker, which has no headers
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        """Yield the records, each parsed on demand: a batch may hold 200,000 of them."""
        given = 0
        try:
            for record in self._batch:
                yield _bounded(record)
                given += 1
        except UnicodeDecodeError:
            yield from map(_bounded, itertools.islice(self._leniently(), given, None))

    def _leniently(self) -> Iterator[Any]:
        batch: Any = _DefaultRecordBatchPy(self._raw)
        batch._maybe_uncompress()  # noqa: SLF001
        batch._buffer = _Buffer(batch._buffer)  # noqa: SLF001
        return iter(batch)


class _Record(NamedTuple):
    """A record with the attributes that aiokafka's fetcher reads."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: int | None


def _bounded(record: Any) -> Any:  # noqa: ANN401 - aiokafka is untyped
    """Return the record with at most MAX_READ_HEADERS: a million headers take 140 MB."""
    if len(record.headers) <= MAX_READ_HEADERS:
        return record
    return _Record(
        offset=record.offset,
        timestamp=record.timestamp,
        timestamp_type=record.timestamp_type,
        key=record.key,
        value=record.value,
        headers=record.headers[:MAX_READ_HEADERS],
        checksum=record.checksum,
    )


class _Buffer(bytearray):
    """Bytes whose slices always decode: bytes that are not UTF-8 become hex escapes."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> "_Buffer": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "int | _Buffer":
        if isinstance(index, slice):
            return _Buffer(super().__getitem__(index))
        return super().__getitem__(index)

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
