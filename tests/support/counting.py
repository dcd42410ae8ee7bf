"""A word count by the rule of the map-reduce workflow."""

import collections
import itertools
from pathlib import Path
from typing import Any

BOOK = Path("examples/texts/alice-in-wonderland.txt").read_text(encoding="utf-8")


def words(text: str) -> dict[str, int]:
    """Return the count of each word: maximal runs of alphanumeric characters, casefolded."""
    runs = itertools.groupby(text, str.isalnum)
    return dict(collections.Counter("".join(run).casefold() for word, run in runs if word))


def map_reduce(text: str, *, workers: int = 8, **more: Any) -> dict[str, Any]:
    parameters = {"workers": workers, "text": text}
    return {"workflow": "map-reduce", "parameters": parameters, **more}
