"""Reads JSON in which any type may stand anywhere; a value of the wrong type counts as absent."""

from collections.abc import Iterable
from typing import Any

from pydantic import JsonValue

__all__ = ["NestedTooDeeplyError", "as_map", "as_text", "as_texts", "as_value"]

# JSON writers accept more levels than JSON readers; both accept these.
_LEVELS = 64


class NestedTooDeeplyError(ValueError):
    """A value could be written into an event, but not every reader could read it."""


def as_map(value: object) -> dict[str, Any]:
    """Return an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """Return text that can be written as UTF-8; None for empty text and for anything else."""
    if not isinstance(value, str) or not value:
        return None
    # Half a surrogate pair is legal in JSON and in Python, but not in UTF-8.
    return value.encode(errors="replace").decode()


def as_texts(value: object) -> tuple[str, ...]:
    """Return the texts in a list; nothing for anything else."""
    found = value if isinstance(value, list) else []
    return tuple(text for item in found if (text := as_text(item)) is not None)


def as_value(value: JsonValue) -> JsonValue:
    """Return any JSON value as it is.

    Raises:
        NestedTooDeeplyError: lists and objects are nested in more than 64 levels.
    """
    layer = [value]
    for _ in range(_LEVELS):
        layer = [inner for outer in layer for inner in _within(outer)]
        if not layer:
            return value
    raise NestedTooDeeplyError(f"more than {_LEVELS} levels")


def _within(value: JsonValue) -> Iterable[JsonValue]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
