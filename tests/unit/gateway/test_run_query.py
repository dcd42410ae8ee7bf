"""Cursors and filters of lists and streams."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.models import EventPlace
from sluice_gateway.domain.partitions import LogPartition
from sluice_gateway.domain.run_query import InvalidCursorError, LabelTest, RunPlace, StreamPlace

NUMBERS = st.integers(0, 99_999)
DOORS = st.sampled_from(("acme", "a", "7", "two-words"))
PARTITIONS: st.SearchStrategy[LogPartition] = NUMBERS | st.builds(
    lambda door, number: f"{door}/{number}", DOORS, NUMBERS
)
OFFSETS = st.dictionaries(PARTITIONS, st.integers(0, 2**63 - 1), min_size=1)


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
def test_a_stream_continues_at_the_place_that_its_id_names(
    offsets: dict[LogPartition, int],
) -> None:
    place = StreamPlace(next_offsets=offsets)
    assert StreamPlace.parse(str(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "1:",
        ":1",
        "1:2,",
        "1:2,1:3",
        "a:1",
        "/1:1",
        "a/:1",
        "a/b/1:1",
        "A/1:1",
        "1:-1",
        "1:2;3:4",
        "1:9223372036854775808",
    ],
)
def test_a_stream_place_that_no_stream_sent_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        StreamPlace.parse(text)


def test_a_place_moves_behind_a_record() -> None:
    place = StreamPlace(next_offsets={0: 5, 1: 7}).after(1, 7).after(2, 0)
    assert str(place) == "0:5,1:8,2:1"


def test_a_place_keeps_the_partitions_that_the_topic_may_have() -> None:
    place = StreamPlace(next_offsets=dict.fromkeys(range(5000), 7))
    assert place.on_topics([0, 2]) == StreamPlace(next_offsets=dict.fromkeys(range(12), 7))
    assert place.on_topics([]) == place


def test_partitions_of_doors_have_the_door_before_their_number() -> None:
    place = StreamPlace(next_offsets={"acme/10": 1, 2: 5, "acme/9": 0, 10: 7, "a/0": 3})
    assert str(place) == "2:5,10:7,a/0:3,acme/9:0,acme/10:1"
    assert str(EventPlace.parse("acme/3:17")) == "acme/3:17"
    assert EventPlace.parse("3:17") == EventPlace(3, 17)


def test_a_place_keeps_the_partitions_of_the_doors_that_there_are() -> None:
    place = StreamPlace(next_offsets=dict.fromkeys([f"acme/{n}" for n in range(100)], 7))
    kept = place.on_topics([0, "acme/0", "acme/1"])
    assert set(kept.next_offsets) == {f"acme/{n}" for n in range(8)}


@pytest.mark.parametrize(("doors", "stay"), [(8, True), (9, False)])
def test_partitions_of_doors_that_another_replica_knows_stay_if_they_are_few(
    doors: int, *, stay: bool
) -> None:
    place = StreamPlace(next_offsets={0: 1} | {f"door-{n}/0": 7 for n in range(doors)})
    kept = place.on_topics([0, "acme/0"])
    assert len(kept.next_offsets) == (doors + 1 if stay else 1)


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
