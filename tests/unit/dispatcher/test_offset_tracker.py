"""The committable offset never passes unfinished work (promise 5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_dispatcher.domain.offset_tracker import OffsetTracker


def test_nothing_is_committable_before_anything_is_finished() -> None:
    tracker = OffsetTracker()
    tracker.start(7)
    assert tracker.committable is None
    assert tracker.span == 1


def test_a_gap_of_unfinished_work_holds_the_commit_back() -> None:
    tracker = OffsetTracker()
    for offset in (3, 4, 5):
        tracker.start(offset)
    tracker.finish(4)
    tracker.finish(5)
    assert tracker.committable is None
    tracker.finish(3)
    assert tracker.committable == 6
    assert tracker.span == 0


def test_sparse_offsets_commit_behind_the_last_one_finished() -> None:
    tracker = OffsetTracker()
    for offset in (10, 17):
        tracker.start(offset)
        tracker.finish(offset)
    assert tracker.committable == 18


@pytest.mark.parametrize("again", [5, 4])
def test_offsets_must_grow(again: int) -> None:
    tracker = OffsetTracker()
    tracker.start(5)
    with pytest.raises(ValueError, match="came after 5"):
        tracker.start(again)


def test_offsets_must_grow_even_when_all_is_finished() -> None:
    tracker = OffsetTracker()
    tracker.start(5)
    tracker.finish(5)
    with pytest.raises(ValueError, match="came after"):
        tracker.start(5)


def test_only_offsets_in_flight_can_be_finished_and_only_once() -> None:
    tracker = OffsetTracker()
    tracker.start(1)
    tracker.start(2)
    tracker.finish(2)
    for offset in (2, 3):
        with pytest.raises(ValueError, match="not in flight"):
            tracker.finish(offset)


@given(
    offsets=st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=60).map(sorted),
    data=st.data(),
)
def test_committable_is_the_lowest_unfinished_offset_or_the_end(
    offsets: list[int], data: st.DataObject
) -> None:
    tracker = OffsetTracker()
    started: list[int] = []
    finished: set[int] = set()
    waiting = list(offsets)
    while waiting or len(finished) < len(offsets):
        in_flight = [offset for offset in started if offset not in finished]
        if waiting and (not in_flight or data.draw(st.booleans())):
            offset = waiting.pop(0)
            tracker.start(offset)
            started.append(offset)
        else:
            offset = data.draw(st.sampled_from(in_flight))
            tracker.finish(offset)
            finished.add(offset)
        unfinished = [offset for offset in started if offset not in finished]
        if tracker.committable is not None:
            assert all(tracker.committable <= offset for offset in unfinished)
            assert tracker.committable - 1 in finished
        below = [offset for offset in started if not unfinished or offset < unfinished[0]]
        assert tracker.committable == (below[-1] + 1 if below else None)
        assert tracker.span == len(started) - len(below)
