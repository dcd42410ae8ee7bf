"""Durations in settings, written as in `500ms` or `10s`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

__all__ = ["Duration", "seconds"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _parse(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*", value)
    if match is None:
        raise ValueError("Must be a number with a unit, as in 500ms, 10s, 5m, 1h or 7d.")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError as e:
        raise ValueError("Must be less than a million years.") from e


Duration = Annotated[timedelta, BeforeValidator(_parse)]
"""A length of time, written `500ms`, `10s`, `5m`, `1h` or `7d`."""


def seconds(duration: timedelta) -> float:
    """Return a duration in seconds, as asyncio expects it."""
    return duration.total_seconds()
