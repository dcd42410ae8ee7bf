"""Upper bounds for the size of a JSON document, counted on its bytes before it is parsed.

A document of 1.6 MB may be one string or 800,000 lists. The lists cost a parser seconds and
hundreds of MB, so they are counted first, in a few passes that run in C. The worst document of
that size takes some 5 ms.
"""

import re
from dataclasses import dataclass

__all__ = ["JsonSize", "count_structure", "decoded_bytes", "measure"]

# The most that a value costs CPython 3.11-3.13, without the characters of a string. An object of
# one member has 184 bytes and a slot in its parent, and counts as two values.
_BYTES_PER_VALUE = 128

_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_FIRST_OF_FOUR_BYTES = bytes(range(0xF0, 0xF5))
_BRACKETS = b"[]{}"
# Each value except the document itself follows one of these.
_BEFORE_VALUES = b",:[{"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_NOT_STRUCTURE = bytes(set(range(256)) - set(_BEFORE_VALUES + b'"'))
_BEGINNING_BYTES = 128 * 1024


@dataclass(frozen=True, kw_only=True)
class JsonSize:
    """Upper bounds for a JSON document; for malformed text, those of the part before the fault.

    `values` counts values and member names (an empty container counts twice), `depth` counts levels
    of nesting.
    """

    values: int
    depth: int


def measure(data: bytes, *, most_values: int, most_depth: int) -> JsonSize:
    """Return the size of `data`, without parsing it, as exactly as the limits need.

    The contents of strings count as well, unless that exceeds a limit. If `values` exceeds
    `most_values`, it is a lower bound, and `depth` is undefined.
    """
    structure = data.translate(None, _NOT_STRUCTURE)
    if len(structure) < most_values:
        depth = structure.count(b"[") + structure.count(b"{")
        if depth <= most_depth:
            return JsonSize(values=len(structure) + 1, depth=depth)
    # Most documents with far too many values show it at their beginning.
    _, values = _outside_strings(data[:_BEGINNING_BYTES], most_values=most_values)
    if values > most_values:
        return JsonSize(values=values, depth=0)
    outside, values = _outside_strings(data, most_values=most_values)
    return JsonSize(values=values, depth=0 if values > most_values else _depth(outside))


def decoded_bytes(data: bytes, *, most_values: int) -> int | None:
    """Return the most memory that the parsed document takes; None if `most_values` is exceeded."""
    _, values = _outside_strings(data, most_values=most_values)
    if values > most_values:
        return None
    return len(data) * _bytes_per_character(data) + values * _BYTES_PER_VALUE


def count_structure(data: bytes | bytearray) -> int:
    """Return how often `data` has a character that a value can follow, strings included.

    It allocates nothing, unlike `measure`: the data may be tens of MB.
    """
    return sum(data.count(character) for character in _BEFORE_VALUES)


def _count(data: bytes, characters: bytes) -> int:
    # One pass for all; `bytes.count` is three times slower for frequent characters.
    return len(data) - len(data.translate(None, characters))


def _outside_strings(data: bytes, *, most_values: int) -> tuple[bytes, int]:
    """Return `data` without its strings, and the number of values.

    Backslashes occur in strings only. Pairs of them are removed first, so that a quote after a
    remaining one is certainly escaped. If there are too many strings, the rest is empty.
    """
    if b'\\"' in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = (data.count(b'"') + 1) // 2
    if strings > most_values:
        return b"", strings
    outside = b"".join(data.split(b'"')[::2])
    return outside, max(strings, _count(outside, _BEFORE_VALUES) + 1)


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
    escaped = b"\\u" in data
    if data.isascii() and not escaped:
        return 1
    if _count(data, _FIRST_OF_FOUR_BYTES) or (escaped and _HIGH_SURROGATE.search(data)):
        return 4
    return 2
