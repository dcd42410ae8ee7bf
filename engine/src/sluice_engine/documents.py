"""JSON documents: how they are typed, read and written throughout the engine."""

import json
from typing import Any

__all__ = ["Json", "Object", "decode", "encode", "same_json"]

Json = Any
"""Any JSON value. Its content comes from clients, so it is checked where it is used."""

Object = dict[str, Json]
"""A JSON object."""


def encode(value: Json) -> bytes:
    """Write a value compactly; a lone surrogate, which UTF-8 cannot encode, becomes `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def decode(text: bytes | str) -> Json:
    """Read a value.

    Raises:
        ValueError: it is not JSON; NaN and Infinity are not, either.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> float:
    message = f"{constant} is not JSON"
    raise ValueError(message)


def same_json(left: Json, right: Json) -> bool:
    """Compare as JSON does: `true` is not `1`, though Python says so."""
    return bool(left == right) and _same_types(left, right)


def _same_types(left: Json, right: Json) -> bool:
    if isinstance(left, dict):
        return all(_same_types(value, right[name]) for name, value in left.items())
    if isinstance(left, list):
        return all(map(_same_types, left, right))
    return isinstance(left, bool) is isinstance(right, bool)
