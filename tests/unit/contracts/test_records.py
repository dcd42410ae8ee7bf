"""Records as plain values."""

import pytest

from sluice_contracts.records import Headers, OutgoingRecord, Position, header


def test_a_position_is_readable_as_text() -> None:
    assert str(Position("sluice.requests", 3, 42)) == "sluice.requests/3@42"
    assert Position("t", 0, 9) < Position("t", 0, 10) < Position("t", 1, 0)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ((), None),
        ((("other", b"1"),), None),
        ((("name", b"1"),), "1"),
        ((("NAME", b"1"),), "1"),
        ((("name", b"1"), ("name", b"2")), "2"),
        ((("name", b"1"), ("name", b"\xff")), None),
        ((("name", b""),), ""),
    ],
)
def test_the_last_header_of_a_name_counts(headers: Headers, value: str | None) -> None:
    assert header(headers, "name") == value


def test_the_size_counts_key_value_and_headers() -> None:
    assert OutgoingRecord(key=None, value=None).size == 0
    assert OutgoingRecord(key=b"12", value=b"345", headers=(("67", b"8"),)).size == 8
