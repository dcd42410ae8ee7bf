"""Header names that are not UTF-8 are read; all other records are read as by aiokafka."""

import tracemalloc
from typing import Any

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from sluice_contracts.records import MAX_READ_HEADERS
from sluice_runtime.kafka.lenient_records import LenientRecords


class RawName(str):
    """A header name whose bytes on the wire are not UTF-8."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        return b"\xff\xfename"


def batch(*headers: list[tuple[str, bytes | None]], gzip: bool = False) -> bytes:
    """Return a batch with one record per list of headers."""
    builder: Any = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=1 if gzip else 0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    for offset, each in enumerate(headers):
        assert builder.append(
            offset, timestamp=1000 + offset, key=b"k", value=b"v%d" % offset, headers=each
        )
    return bytes(builder.build())


def read(data: bytes) -> list[list[tuple[int, int, bytes, bytes, Any]]]:
    """Read all batches like the fetcher."""
    records = LenientRecords(data)
    batches = []
    while records.has_next():
        each = records.next_batch()
        assert each.validate_crc()
        assert not each.is_control_batch
        batches.append(
            [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in each]
        )
    return batches


@pytest.mark.parametrize("gzip", [False, True])
def test_a_header_name_that_is_not_utf_8_becomes_hex(gzip: bool) -> None:
    data = batch([("a", b"1")], [(RawName("x"), b"\xff"), ("ü", None)], [], gzip=gzip)
    assert read(data) == [
        [
            (0, 1000, b"k", b"v0", [("a", b"1")]),
            (1, 1001, b"k", b"v1", [("\\xff\\xfename", b"\xff"), ("ü", None)]),
            (2, 1002, b"k", b"v2", []),
        ]
    ]


def test_batches_are_separated() -> None:
    plain, odd = batch([("a", b"1")]), batch([(RawName("x"), b"2")])
    data = plain + odd + plain
    assert [each[0][4] for each in read(data)] == [
        [("a", b"1")],
        [("\\xff\\xfename", b"2")],
        [("a", b"1")],
    ]
    assert LenientRecords(data).size_in_bytes() == len(data)


def test_an_incomplete_batch_at_the_end_is_not_read() -> None:
    whole = batch([("a", b"1")])
    assert len(read(whole + whole[:-1])) == 1
    cut_off = LenientRecords(whole[:20])
    assert not cut_off.has_next()
    assert cut_off.size_in_bytes() == 20


@pytest.mark.parametrize("utf_8", [True, False])
def test_records_are_parsed_on_demand(utf_8: bool) -> None:
    """A batch of 2 MB may have 200,000 records; parsing all at once blocks the event loop."""
    headers: list[tuple[str, bytes | None]] = [("a" if utf_8 else RawName("x"), None)]
    data = batch(*[headers] * 5000)
    tracemalloc.start()
    try:
        records = iter(LenientRecords(data).next_batch())
        first = next(records)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert first.offset == 0
    assert sum(1 for _ in records) == 4999
    # All of them take up some 2 MB.
    assert peak < 3 * len(data) + 50_000


@pytest.mark.parametrize("utf_8", [True, False])
def test_excess_headers_are_cut(utf_8: bool) -> None:
    headers: list[tuple[str, bytes | None]] = [("" if utf_8 else RawName("x"), None)] * 5000
    [[(offset, timestamp, key, value, read_headers)]] = read(batch(headers))
    assert (offset, timestamp, key, value) == (0, 1000, b"k", b"v0")
    assert len(read_headers) == MAX_READ_HEADERS
