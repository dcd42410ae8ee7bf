"""Durations as Argo reads them."""

import re
from typing import Final

from sluice_engine.controller.errors import TemplateError

__all__ = ["parse_duration"]

_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")


def parse_duration(duration: str) -> float:
    """Return seconds: a bare number is seconds, else as `1h30m` or `500ms`.

    Raises:
        TemplateError: it is neither.
    """
    duration = str(duration).strip()
    if duration.isascii() and duration.isdigit():
        return float(duration)
    if not duration or _PART.sub("", duration):
        message = f"'{duration}' is not a duration"
        raise TemplateError(message)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
