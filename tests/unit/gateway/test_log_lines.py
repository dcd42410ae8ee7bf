"""From the bytes of a log to lines with places."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.log_lines import LogPlace, LogText, PlacedLine

SECOND = 1_764_504_000_000_000_000
"""2025-11-30T12:00:00Z"""


def line(text: str, nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"2025-11-30T12:00:{seconds:02d}.{rest:09d}Z {text}\n".encode()


def read(log: bytes, *, after: LogPlace | None = None, max_line: int = 100) -> list[PlacedLine]:
    text = LogText(max_line=max_line, after=after)
    return [*text.feed(log), *text.flush()]


def texts(lines: Sequence[PlacedLine]) -> list[str]:
    return [each.text for each in lines]


def test_a_line_has_its_time_and_its_place() -> None:
    [first] = read(line("a", 123_456_789))
    assert first == PlacedLine(
        place=LogPlace(SECOND + 123_456_789, 1),
        time="2025-11-30T12:00:00.123456789Z",
        text="a",
        truncated=False,
    )
    assert LogPlace.parse(str(first.place)) == first.place


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "-1:1", "1:1 ", "x:1", "1" * 20 + ":1"])
def test_other_texts_are_refused(text: str) -> None:
    assert LogPlace.parse(text) is None


def test_lines_of_one_time_are_counted() -> None:
    places = [each.place for each in read(line("a", 5) + line("b", 5) + line("c", 6))]
    assert [str(each) for each in places] == [
        f"{SECOND + 5}:1",
        f"{SECOND + 5}:2",
        f"{SECOND + 6}:1",
    ]


@pytest.mark.parametrize("time", ["2025-11-30T13:00:00+01:00", "2025-11-30T12:00:00Z"])
def test_times_in_any_zone_and_without_fractions_are_read(time: str) -> None:
    [only] = read(f"{time} a\n".encode())
    assert (only.place, only.time) == (LogPlace(SECOND, 1), time)


def test_an_empty_line_is_a_sign_of_life_and_an_empty_text_is_a_line() -> None:
    assert texts(read(b"\n\n" + line("", 1) + b"\n")) == [""]


def test_a_line_without_a_time_has_no_place() -> None:
    assert read(b"9999-99-99T99:99:99Z the rest\nof it\n") == [
        PlacedLine(place=None, time="9999-99-99T99:99:99Z", text="the rest", truncated=False),
        PlacedLine(place=None, time=None, text="of it", truncated=False),
    ]


def test_what_is_not_text_is_shown_all_the_same() -> None:
    [only] = read(line("", 1).removesuffix(b"\n") + b"\x00\xff\xc3(\x1b[31m\r\n")
    assert only.text == "\x00\ufffd\ufffd(\x1b[31m"


@pytest.mark.parametrize(("length", "truncated"), [(100, False), (101, True), (10_000, True)])
def test_a_long_line_is_cut_and_says_so(length: int, truncated: bool) -> None:
    [first, second] = read(line("x" * length, 1) + line("y", 2))
    assert (len(first.text), first.truncated) == (100, truncated)
    assert (second.text, second.truncated) == ("y", False)


def test_a_line_without_end_takes_bounded_memory() -> None:
    text = LogText(max_line=100)
    for _ in range(1_000):
        assert list(text.feed(b"x" * 1_000)) == []
    assert len(text._begun) <= 200
    [only] = text.flush()
    assert only.truncated


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 40))
def test_pieces_do_not_matter(times: list[int], size: int) -> None:
    log = b"".join(line(f"line {n}", time) for n, time in enumerate(times))
    text = LogText(max_line=100)
    found = [each for at in range(0, len(log), size) for each in text.feed(log[at : at + size])]
    assert found == read(log)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_a_reader_goes_on_behind_any_line_and_nothing_comes_twice(times: list[int]) -> None:
    """Even if the lines of two streams are out of order, and some have the same time."""
    log = [line(f"line {n}", time * 400_000_000) for n, time in enumerate(times)]
    whole = read(b"".join(log))
    for number, each in enumerate(whole):
        place = each.place
        assert place is not None
        same = [at for at, time in enumerate(times) if time == times[number]]
        if same[-1] - same[0] >= len(same):
            # A time that comes back after another one: the numbers begin again.
            continue
        # What the kubelet gives of the lines since this second.
        since = [
            raw
            for raw, other in zip(log, whole, strict=True)
            if other.place and other.place.second >= place.second
        ]
        behind = [
            other
            for other in whole[number + 1 :]
            if other.place and other.place.second >= place.second
        ]
        assert texts(read(b"".join(since), after=place)) == texts(behind)


def test_a_place_whose_line_is_not_kept_any_more_does_not_hide_what_follows() -> None:
    log = line("late", 2_000_000_001) + line("later", 2_000_000_002)
    assert texts(read(log, after=LogPlace(SECOND, 1))) == ["late", "later"]


def test_the_last_place_is_known_for_a_second_opening() -> None:
    text = LogText(max_line=100, after=LogPlace(SECOND + 1, 2))
    assert text.last == LogPlace(SECOND + 1, 2)
    log = line("a", 1) + line("b", 1) + line("c", 1)
    assert texts([*text.feed(log)]) == ["c"]
    assert text.last == LogPlace(SECOND + 1, 3)
