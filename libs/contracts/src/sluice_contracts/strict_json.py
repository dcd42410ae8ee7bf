"""A JSON parser that refuses everything ambiguous.

RFC 8259 leaves duplicate names, lone surrogates and depth to the parser. Two readers of one record
must never disagree about its meaning.
"""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from pydantic import JsonValue

from sluice_contracts.json_bounds import measure

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER_DIGITS",
    "MAX_VALUES",
    "AmbiguousJsonError",
    "BoundedJson",
    "MalformedJsonError",
    "OversizedJsonError",
    "bounded",
    "canonical",
    "parse",
]

MAX_DEPTH = 32
"""The deepest nesting that a document may have, in levels."""

MAX_VALUES = 20_000
"""The most values and member names that a document may hold. Parsing and validating so many takes
about 10 ms of the event loop's time. The size in bytes bounds strings, not values."""

MAX_INTEGER_DIGITS = 1_000
"""The most digits of an integer; Python reads and writes integers in quadratic time."""


# `json.dumps` would make one for each document.
_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


class MalformedJsonError(ValueError):
    """The bytes are not JSON that Sluice accepts; the message gives the fault and its place."""


class OversizedJsonError(MalformedJsonError):
    """The document holds more values than MAX_VALUES; it was not parsed."""


class AmbiguousJsonError(MalformedJsonError):
    """An object has a duplicate name.

    `salvaged` is the document with null for every duplicate member, so that the run can still be
    identified by the other members.
    """

    def __init__(self, message: str, *, salvaged: JsonValue) -> None:
        super().__init__(message)
        self.salvaged = salvaged


def parse(data: bytes) -> JsonValue:
    """Return the JSON document in `data`.

    Raises:
        MalformedJsonError: `data` is not UTF-8, not JSON or nested deeper than MAX_DEPTH. Or it
            holds NaN, Infinity, an integer of more than MAX_INTEGER_DIGITS, or a lone surrogate.
        OversizedJsonError: it holds more than MAX_VALUES values and names.
        AmbiguousJsonError: an object has a duplicate name.
    """
    return bounded(data).parse()


def bounded(data: bytes) -> "BoundedJson":
    """Return the document in `data` once its size is checked, which is half the cost of `parse`.

    Raises:
        MalformedJsonError: `data` is not UTF-8, or nested deeper than MAX_DEPTH.
        OversizedJsonError: it holds more than MAX_VALUES values and names.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise MalformedJsonError(f"The value is not UTF-8 (byte {e.start}).") from e
    # Before parsing: the parser recurses, and builds the whole document first.
    size = measure(data, most_values=MAX_VALUES, most_depth=MAX_DEPTH)
    if size.values > MAX_VALUES:
        raise OversizedJsonError(
            f"The document holds more than {MAX_VALUES} values and names. Send large data as one "
            "string, or put it into a store and send its address."
        )
    if size.depth > MAX_DEPTH:
        raise MalformedJsonError(f"Nested deeper than {MAX_DEPTH} levels.")
    return BoundedJson(text)


@dataclass(frozen=True)
class BoundedJson:
    """A document that is within the limits, and not yet parsed."""

    _text: str

    def parse(self) -> JsonValue:
        """Return the document.

        Raises:
            MalformedJsonError: see `strict_json.parse`.
            AmbiguousJsonError: an object has a duplicate name.
        """
        objects = _Objects()
        if self._text.startswith("\ufeff"):
            raise MalformedJsonError(
                "Not JSON: it begins with a byte order mark (line 1, column 1)."
            )
        try:
            try:
                document: JsonValue = _UNAMBIGUOUS.decode(self._text)
            except _DuplicateNameError:
                document = _decoder(objects.build).decode(self._text)
        except json.JSONDecodeError as e:
            raise MalformedJsonError(
                f"Not JSON: {e.msg} (line {e.lineno}, column {e.colno})."
            ) from e
        except ValueError as e:
            # The hooks refuse long integers, NaN, Infinity and 1e400.
            raise MalformedJsonError("Not JSON: a number is not finite, or too large.") from e
        # Decoded UTF-8 has no surrogates; only an escape can produce one.
        if "\\u" in self._text and _holds_lone_surrogate(document):
            raise MalformedJsonError("A string holds a lone surrogate, which UTF-8 cannot encode.")
        if objects.duplicates:
            raise AmbiguousJsonError(
                f"An object names {objects.duplicates[0]!r} twice.", salvaged=document
            )
        return document


def canonical(document: JsonValue) -> bytes:
    """Return `document` as JSON in which equal documents have equal bytes.

    The form is that of RFC 8785 (JCS), with two exceptions that no request needs: numbers are
    written as Python writes them, and names are sorted by code point.
    """
    return _CANONICAL.encode(document).encode()


@dataclass
class _Objects:
    """Builds the objects of one document and collects duplicate names."""

    duplicates: list[str] = field(default_factory=list)

    def build(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = [name for name, count in counts.items() if count > 1]
            # Names come from the client: 64 characters are enough to find one.
            self.duplicates += [name[:64] for name in twice]
            built |= dict.fromkeys(twice)
        return built


class _DuplicateNameError(Exception):
    """An object has a duplicate name."""


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) < len(pairs):
        raise _DuplicateNameError
    return built


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError
    return number


def _short(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        raise ValueError
    return int(text)


def _decoder(build: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=build,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=_short,
    )


# Nearly all documents; `json.loads` would make one for each.
_UNAMBIGUOUS: Final = _decoder(_unambiguous)


def _holds_lone_surrogate(document: JsonValue) -> bool:
    left: list[JsonValue] = [document]
    while left:
        match left.pop():
            case list() as items:
                left += items
            case dict() as members:
                left += [*members, *members.values()]
            case str() as text if not text.isascii() and not _is_encodable(text):
                return True
    return False


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
