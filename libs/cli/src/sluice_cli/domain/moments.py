"""Times and durations, as people type and read them."""

import re
from datetime import datetime, timedelta
from typing import Final

from sluice_cli.domain.usage import UsageError

__all__ = ["age", "duration", "moment", "seconds"]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}
_DURATION: Final = re.compile(r"(?:\d{1,9}[smhdw])+")
_PART: Final = re.compile(r"(\d+)([smhdw])")


def moment(text: str, *, now: datetime) -> datetime:
    """Return a time: RFC 3339, or so long ago, as in `2h` or `1d12h`.

    Raises:
        UsageError: it is neither.
    """
    if _DURATION.fullmatch(text):
        return now - timedelta(seconds=_sum(text))
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.utcoffset() is None:
        raise UsageError(f"{text!r} must be like 2h, 1d12h or 2026-12-01T00:00:00Z.")
    return read


def seconds(text: str) -> float:
    """Return a time span in seconds: `90`, `90s`, `5m`, `1h30m`.

    Raises:
        UsageError: it is none.
    """
    if _DURATION.fullmatch(text):
        return float(_sum(text))
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text):
        return float(text)
    raise UsageError(f"{text!r} must be like 90, 90s, 5m or 1h30m.")


def _sum(text: str) -> int:
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def duration(span: timedelta | float | None) -> str:
    """Return a span in at most two units, as in `3.2s` or `1h05m`; empty for None."""
    if span is None:
        return ""
    total = max(0.0, span.total_seconds() if isinstance(span, timedelta) else span)
    if total < 10:  # noqa: PLR2004 - tenths of seconds are of interest
        return f"{total:.1f}s"
    whole = round(total)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def age(then: datetime | None, *, now: datetime) -> str:
    """Return how long ago it was; empty if it is not known."""
    return "" if then is None else duration(now - then)
