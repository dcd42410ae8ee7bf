"""A priority queue whose entries can change their rank or leave at any time."""

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["IndexedHeap", "Rank"]

Rank = tuple[float, float, int]
"""What entries are ordered by, the smallest first."""

E = TypeVar("E", bound=Hashable)


class IndexedHeap(Generic[E]):
    """Entries by rank; every change compares O(log n) entries.

    Entries of one rank come in any order, so ranks should end with a number of their own.
    """

    def __init__(self) -> None:
        self._entries: list[E] = []
        self._ranks: dict[E, Rank] = {}
        self._places: dict[E, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry: E) -> bool:
        return entry in self._places

    @property
    def first(self) -> E | None:
        """The entry of the smallest rank; None if there are none."""
        return self._entries[0] if self._entries else None

    def rank_of(self, entry: E) -> Rank:
        """Return the rank of an entry; KeyError if it is absent."""
        return self._ranks[entry]

    def put(self, entry: E, rank: Rank) -> None:
        """Add an entry, or change its rank."""
        self._ranks[entry] = rank
        if entry not in self._places:
            self._places[entry] = len(self._entries)
            self._entries.append(entry)
        self._restore(self._places[entry])

    def discard(self, entry: E) -> None:
        """Remove an entry if it is there."""
        place = self._places.pop(entry, None)
        if place is None:
            return
        del self._ranks[entry]
        last = self._entries.pop()
        if place < len(self._entries):
            self._entries[place], self._places[last] = last, place
            self._restore(place)

    def _restore(self, place: int) -> None:
        while place and self._precedes(place, (place - 1) // 2):
            place = self._swap(place, (place - 1) // 2)
        while True:
            least = place
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(self._entries) and self._precedes(child, least):
                    least = child
            if least == place:
                return
            place = self._swap(place, least)

    def _precedes(self, one: int, other: int) -> bool:
        return self._ranks[self._entries[one]] < self._ranks[self._entries[other]]

    def _swap(self, one: int, other: int) -> int:
        entries = self._entries
        entries[one], entries[other] = entries[other], entries[one]
        self._places[entries[one]], self._places[entries[other]] = one, other
        return other
