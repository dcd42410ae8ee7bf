"""Chunks become lines, wherever they were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_argo.line_splitter import LineSplitter, LineTooLongError

LINES = st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line))


def split(chunks: list[bytes], *, max_bytes: int = 1000) -> list[bytes]:
    splitter = LineSplitter(max_bytes=max_bytes)
    return [line for chunk in chunks for line in splitter.feed(chunk)]


@given(lines=LINES, data=st.data())
def test_any_chunking_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert split(chunks) == lines


def test_empty_lines_are_left_out() -> None:
    assert split([b"\n\na\n", b"\n", b"b\n\n"]) == [b"a", b"b"]


def test_incomplete_line_is_not_yielded() -> None:
    splitter = LineSplitter(max_bytes=10)
    assert list(splitter.feed(b"a\nb")) == [b"a"]
    assert splitter.incomplete
    assert list(splitter.feed(b"\n")) == [b"b"]
    assert not splitter.incomplete


@pytest.mark.parametrize("chunks", [[b"x" * 11], [b"x" * 6, b"x" * 5], [b"x" * 11 + b"\n"]])
def test_endless_line_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(LineTooLongError, match="longer than 10 bytes"):
        split(chunks, max_bytes=10)


def test_line_of_exactly_the_limit_passes() -> None:
    assert split([b"x" * 10, b"\n", b"y\n"], max_bytes=10) == [b"x" * 10, b"y"]
