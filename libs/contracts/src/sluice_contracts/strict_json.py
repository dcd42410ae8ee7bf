"""JSON in, exactly one meaning out.

RFC 8259 leaves duplicate names, lone surrogates and depth to the parser; two readers of one record
must never disagree about what it asks for, so everything ambiguous is refused.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pydantic import JsonValue

__all__ = ["MAX_DEPTH", "AmbiguousJsonError", "MalformedJsonError", "canonical", "parse"]

MAX_DEPTH = 32
"""Levels of nesting that a document may have."""


class MalformedJsonError(ValueError):
    """The bytes are no JSON that Sluice takes; the message says what is wrong and where."""


class AmbiguousJsonError(MalformedJsonError):
    """A name stands twice in one object.

    `salvaged` is the document without the ambiguous names, so that the run may still be named.
    """

    def __init__(self, message: str, *, salvaged: JsonValue) -> None:
        super().__init__(message)
        self.salvaged = salvaged


def parse(data: bytes) -> JsonValue:
    """Read one JSON document.

    Raises:
        MalformedJsonError: not UTF-8, not JSON, nested deeper than MAX_DEPTH, NaN or Infinity, or
            a string that no UTF-8 can carry (a lone surrogate).
        AmbiguousJsonError: an object names a member twice.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise MalformedJsonError(f"The value is not UTF-8 (byte {e.start}).") from e
    _refuse_depth(text)
    objects = _Objects()
    try:
        document: JsonValue = json.loads(
            text, object_pairs_hook=objects.build, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as e:
        raise MalformedJsonError(f"Not JSON: {e.msg} (line {e.lineno}, column {e.colno}).") from e
    except ValueError as e:
        # Python refuses integers of more than 4,300 digits, and parse_constant refuses NaN.
        raise MalformedJsonError("Not JSON: a number is not finite or has too many digits.") from e
    for scalar in _scalars(document):
        if isinstance(scalar, float) and math.isinf(scalar):
            raise MalformedJsonError("Not JSON: a number is too large for a float.")
        if isinstance(scalar, str) and _lone_surrogate(scalar):
            raise MalformedJsonError("A string holds a lone surrogate, which no UTF-8 can carry.")
    if objects.duplicates:
        raise AmbiguousJsonError(
            f"An object names {objects.duplicates[0]!r} twice.", salvaged=document
        )
    return document


def canonical(document: JsonValue) -> bytes:
    """Write `document` so that equal documents give equal bytes.

    As RFC 8785 (JCS) but for two things that no request needs: numbers are written Python's way,
    and names are sorted by code point.
    """
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


@dataclass
class _Objects:
    """Builds the objects of one document and remembers the names that stood twice."""

    duplicates: list[str] = field(default_factory=list)

    def build(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            names = [name for name, _ in pairs]
            twice = {name for name in names if names.count(name) > 1}
            # The name came from outside: show enough to find it, not all of it.
            self.duplicates += [name[:64] for name in sorted(twice)]
            for name in twice:
                del built[name]
        return built


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _refuse_depth(text: str) -> None:
    """Count brackets outside strings: the parser itself would recurse first and ask later."""
    depth = 0
    in_string = escaped = False
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    for character in text:
        if escaped:
            escaped = False
        elif in_string:
            escaped = character == "\\"
            in_string = character != '"'
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedJsonError(f"Nested deeper than {MAX_DEPTH} levels.")
        elif character in "]}":
            depth -= 1


def _lone_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _scalars(document: JsonValue) -> Iterator[JsonValue]:
    match document:
        case list():
            for item in document:
                yield from _scalars(item)
        case dict():
            for name, value in document.items():
                yield name
                yield from _scalars(value)
        case _:
            yield document
