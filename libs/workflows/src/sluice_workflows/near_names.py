"""Which of the names that exist was meant by one that does not."""

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Final

__all__ = ["near_names"]

# A comparison takes time by the product of both lengths, and clients choose one of the two.
_LONGEST: Final = 64
_MOST_COMPARED: Final = 500


def near_names(name: str, known: Iterable[str], *, most: int = 1) -> tuple[str, ...]:
    """Return the names most like `name`, the nearest first; none if none is like it.

    The time is bounded, whatever the name: its first 64 characters are compared with those of at
    most 500 known names.
    """
    compared = {each[:_LONGEST]: each for each in islice(known, _MOST_COMPARED)}
    found = difflib.get_close_matches(name[:_LONGEST], compared, n=most)
    return tuple(compared[each] for each in found)
