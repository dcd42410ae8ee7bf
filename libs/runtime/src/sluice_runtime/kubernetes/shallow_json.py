"""Parses JSON of any depth, without what lies deepest.

The API server accepts objects of 10,000 levels, and Python's parser gives up at 1,000. One such
object would make a whole list unreadable.
"""

import json
import re
from typing import Any, Final

__all__ = ["MAX_LEVELS", "parse_shallow"]

MAX_LEVELS: Final = 256
"""In a document that is too deep for the parser, what lies deeper than that is null."""

# Strings match as a whole: a bracket in one opens nothing. One without an end matches to the end,
# or each of its quotes would be tried as the beginning of a string.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def parse_shallow(data: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return what `json.loads` does; if the document is too deep for that, without the depths.

    Raises:
        ValueError: the document is not JSON.
    """
    try:
        return json.loads(data)
    except RecursionError:
        return json.loads(_without_depths(data))


def _without_depths(data: bytes) -> bytes:
    kept: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(data):
        if token[0] in b"[{":
            depth += 1
            if depth == MAX_LEVELS + 1:
                kept += data[start : token.start()], b"null"
        elif token[0] in b"]}":
            depth -= 1
            if depth == MAX_LEVELS:
                start = token.end()
    # A document that ends in its depths is not JSON, and its rest can be too deep for the parser.
    return b"".join(kept) + data[start:] if depth <= MAX_LEVELS else b""
