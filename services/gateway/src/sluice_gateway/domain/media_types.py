"""Which representation a client prefers (RFC 9110 section 12.5.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["preferred"]

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_RANGE: Final = re.compile(r"(\*/\*|[^\s/*]+/(\*|[^\s/*]+))")


@dataclass(frozen=True, kw_only=True)
class _Range:
    """A media range and its weight; parameters other than the weight are not compared."""

    kind: str
    weight: float

    def precision(self, media_type: str) -> int:
        """Return how precisely the range names the type: 3, 2, 1, or 0 if it does not match."""
        main = media_type.partition("/")[0]
        return {media_type: 3, f"{main}/*": 2, "*/*": 1}.get(self.kind, 0)


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """Return which of the offered media types a client wants most; None if it refuses all.

    An empty `accept` takes anything. Among equals the first offered one wins. What is not a media
    range, or has no valid weight, is ignored.
    """
    if not accept.strip(" \t,"):
        return offered[0]
    ranges = [found for part in accept.split(",") if (found := _range(part)) is not None]
    weights = {media_type: _weight(media_type, ranges) for media_type in offered}
    best = max(offered, key=weights.__getitem__)
    return best if weights[best] > 0 else None


def _range(text: str) -> _Range | None:
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    if not _RANGE.fullmatch(kind):
        return None
    weight = "1"
    for parameter in parameters:
        name, _, value = (part.strip() for part in parameter.partition("="))
        if name == "q":
            weight = value
    return _Range(kind=kind, weight=float(weight)) if _WEIGHT.fullmatch(weight) else None


def _weight(media_type: str, ranges: Sequence[_Range]) -> float:
    """The most precise range that matches decides."""
    matches = [(each.precision(media_type), each.weight) for each in ranges]
    return max((each for each in matches if each[0]), default=(0, 0.0))[1]
