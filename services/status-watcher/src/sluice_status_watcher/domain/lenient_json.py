"""Reads JSON in which anything may stand: what is of the wrong type counts as absent."""

from collections.abc import Iterable
from typing import Any

from pydantic import JsonValue

__all__ = ["NestedTooDeeplyError", "as_map", "as_text", "as_value"]

# What writes JSON goes deeper than what reads it, and neither by much.
_LEVELS = 64


class NestedTooDeeplyError(ValueError):
    """A value that could be told of, and that not every reader could read."""


def as_map(value: object) -> dict[str, Any]:
    """Give an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """Give a text that can be written as UTF-8; None for an empty one and for anything else."""
    if not isinstance(value, str) or not value:
        return None
    # Half a surrogate pair is legal in JSON and in Python, and nowhere else.
    return value.encode(errors="replace").decode()


def as_value(value: JsonValue) -> JsonValue:
    """Give any JSON as it is.

    Raises:
        NestedTooDeeplyError: lists and objects within each other, more than 64 levels.
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
