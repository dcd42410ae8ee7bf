"""Cursors and filters of lists and streams."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.run_query import InvalidCursorError, LabelTest, RunPlace, StreamPlace

OFFSETS = st.dictionaries(st.integers(0, 99_999), st.integers(0, 2**63 - 1), min_size=1)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.from_regex(r"\A[a-z0-9]{1,10}\Z"))
def test_a_list_continues_at_the_place_that_its_cursor_names(when: int, name: str) -> None:
    place = RunPlace(when, name, name)
    assert RunPlace.parse(str(place)) == place


@pytest.mark.parametrize(
    "document",
    [
        [],
        [1, "a"],
        [1, "a", "b", "c"],
        ["1", "a", "b"],
        [1, "A", "b"],
        [1, "a", "b c"],
        [True, "a", "b"],
        [1.5, "a", "b"],
        [2**63, "a", "b"],
        [1, None, "b"],
        {"a": 1},
        7,
        None,
    ],
)
def test_a_cursor_that_no_list_returned_is_refused(document: object) -> None:
    text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode()
    with pytest.raises(InvalidCursorError):
        RunPlace.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    for parse in (RunPlace.parse, StreamPlace.parse):
        try:
            parsed = parse(text)
        except InvalidCursorError:
            continue
        assert parse(str(parsed)) == parsed


@given(OFFSETS)
def test_a_stream_continues_at_the_place_that_its_id_names(offsets: dict[int, int]) -> None:
    place = StreamPlace(next_offsets=offsets)
    assert StreamPlace.parse(str(place)) == place


@pytest.mark.parametrize(
    "text",
    ["", ":", "1:", ":1", "1:2,", "1:2,1:3", "a:1", "1:-1", "1:2;3:4", "1:9223372036854775808"],
)
def test_a_stream_place_that_no_stream_sent_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        StreamPlace.parse(text)


def test_a_place_moves_behind_a_record() -> None:
    place = StreamPlace(next_offsets={0: 5, 1: 7}).after(1, 7).after(2, 0)
    assert str(place) == "0:5,1:8,2:1"


def test_a_place_keeps_the_partitions_that_the_topic_may_have() -> None:
    place = StreamPlace(next_offsets=dict.fromkeys(range(5000), 7))
    assert place.on_topic([0, 2]) == StreamPlace(next_offsets=dict.fromkeys(range(12), 7))
    assert place.on_topic([]) == place


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("team=a", LabelTest(name="team", value="a")),
        ("team!=a", LabelTest(name="team", value="a", equal=False)),
        ("team=", LabelTest(name="team", value="")),
        ("team=a=b!=c", LabelTest(name="team", value="a=b!=c")),
    ],
)
def test_a_condition_on_a_label_is_read(text: str, test: LabelTest) -> None:
    assert LabelTest.parse(text) == test


@pytest.mark.parametrize("text", ["", "team", "=a", "!=a", "-=a", "a b=c"])
def test_a_condition_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name=value"):
        LabelTest.parse(text)
