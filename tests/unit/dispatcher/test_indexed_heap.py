"""A heap in which entries change their rank."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_dispatcher.domain.indexed_heap import IndexedHeap

CHANGES = st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(0, 50)), max_size=200)


@given(CHANGES)
def test_the_first_entry_has_the_smallest_rank_whatever_changed(
    changes: list[tuple[int, int | None]],
) -> None:
    heap: IndexedHeap[int] = IndexedHeap()
    expected: dict[int, tuple[float, float, int]] = {}
    for entry, value in changes:
        if value is None:
            heap.discard(entry)
            expected.pop(entry, None)
        else:
            heap.put(entry, (value, 0.0, entry))
            expected[entry] = (value, 0.0, entry)
        assert heap.first == min(expected, key=expected.__getitem__, default=None)
        assert len(heap) == len(expected)
        assert all(entry in heap for entry in expected)
