"""How much a JSON document holds, counted on its bytes before a parser touches it.

A document of 1.6 MB may be one text or 800,000 lists. The lists cost a parser seconds and memory
by the hundred MB, so they are counted first, in a few passes that run in C: the worst document of
that size takes less than 10 ms.
"""

import re
from dataclasses import dataclass

__all__ = ["JsonSize", "measure"]

# The most that a value costs CPython 3.11-3.13 besides the characters of a text: an object of one
# member is 184 bytes and a place in its parent, and counts as two.
_BYTES_PER_VALUE = 128

_ESCAPED = re.compile(rb"\\u", re.IGNORECASE)
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")
_BRACKETS = b"[]{}"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))


@dataclass(frozen=True, kw_only=True)
class JsonSize:
    """Upper bounds for a JSON document; of malformed text, for what precedes its fault.

    `values` counts values and member names (an empty container counts twice), `depth` levels of
    nesting, `decoded_bytes` the memory of the parsed document. Where `values` passes the limit that
    `measure` was given, it is only known to do so, and the others are not known.
    """

    values: int
    depth: int
    decoded_bytes: int


def measure(data: bytes, *, most_values: int) -> JsonSize:
    """Count without parsing; `most_values` is where counting may stop."""
    values = _values(data)
    depth = data.count(b"[") + data.count(b"{")
    if values > most_values or depth > 0:
        outside, strings = _outside_strings(data, most_strings=most_values)
        values = max(strings, _values(outside))
        depth = 0 if values > most_values else _depth(outside)
    return JsonSize(
        values=values,
        depth=depth,
        decoded_bytes=len(data) * _bytes_per_character(data) + values * _BYTES_PER_VALUE,
    )


def _values(data: bytes) -> int:
    # Each value follows a comma, a colon or an opening bracket, but for the document itself.
    return 1 + data.count(b",") + data.count(b":") + data.count(b"[") + data.count(b"{")


def _outside_strings(data: bytes, *, most_strings: int) -> tuple[bytes, int]:
    """Cut the strings out; gives what is left, and how many strings there were.

    A backslash stands in strings only. Pairs go first, so that a quote behind one that is left is
    escaped for certain. Where there are too many strings nothing is left.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = (data.count(b'"') + 1) // 2
    if strings > most_strings:
        return b"", strings
    return b"".join(data.split(b'"')[::2]), strings


def _depth(outside: bytes) -> int:
    depth = deepest = 0
    for bracket in outside.translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _bytes_per_character(data: bytes) -> int:
    """How CPython stores the widest character (PEP 393), which sets the size of its whole text."""
    if data.isascii() and not _ESCAPED.search(data):
        return 1
    return 4 if _BEYOND_BMP.search(data) else 2
