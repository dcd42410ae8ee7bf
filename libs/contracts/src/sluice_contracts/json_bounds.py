"""Upper bounds for the size of a JSON document, counted on its bytes before it is parsed.

A document of 1.6 MB may be one string or 800,000 lists. The lists cost a parser seconds and
hundreds of MB, so they are counted first, in a few passes that run in C. The worst document of
that size takes less than 10 ms.
"""

import re
from dataclasses import dataclass

__all__ = ["JsonSize", "measure"]

# The most that a value costs CPython 3.11-3.13, without the characters of a string. An object of
# one member has 184 bytes and a slot in its parent, and counts as two values.
_BYTES_PER_VALUE = 128

_ESCAPED = re.compile(rb"\\u", re.IGNORECASE)
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")
_BRACKETS = b"[]{}"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))


@dataclass(frozen=True, kw_only=True)
class JsonSize:
    """Upper bounds for a JSON document; for malformed text, those of the part before the fault.

    `values` counts values and member names (an empty container counts twice), `depth` counts levels
    of nesting, and `decoded_bytes` is the memory of the parsed document. If `values` exceeds the
    limit that `measure` was given, it is a lower bound, and the other two are undefined.
    """

    values: int
    depth: int
    decoded_bytes: int


def measure(data: bytes, *, most_values: int) -> JsonSize:
    """Return the size of `data`, without parsing it; counting may stop above `most_values`."""
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
    # Each value except the document itself follows a comma, a colon or an opening bracket.
    return 1 + data.count(b",") + data.count(b":") + data.count(b"[") + data.count(b"{")


def _outside_strings(data: bytes, *, most_strings: int) -> tuple[bytes, int]:
    """Return `data` without its strings, and the number of strings.

    Backslashes occur in strings only. Pairs of them are removed first, so that a quote after a
    remaining one is certainly escaped. If there are too many strings, the rest is empty.
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
    """Return the bytes of the widest character; CPython stores a whole string so (PEP 393)."""
    if data.isascii() and not _ESCAPED.search(data):
        return 1
    return 4 if _BEYOND_BMP.search(data) else 2
