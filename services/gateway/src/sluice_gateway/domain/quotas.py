"""How many requests are allowed in a time; pure.

The rule is the generic cell rate algorithm: a quota is restored evenly, and one number for each
client says how much of it is used.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Quota", "Usage", "take", "usage_at"]

# Of a sum of floating point numbers, as a part of the whole.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Quota:
    """So many requests in each `window`, in seconds; `name` is that of its policy in headers."""

    name: str
    requests: int
    window: float

    @property
    def policy(self) -> str:
        """The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."""
        return f'"{self.name}";q={self.requests};w={math.ceil(self.window)}'


class Usage(NamedTuple):
    """What is left of a quota.

    `restored_in` is in seconds, until all of it is left again. `retry_after` is None if the request
    was allowed, else the seconds until one is.
    """

    quota: Quota
    left: int
    restored_in: float
    retry_after: float | None = None

    @property
    def header(self) -> str:
        """The value of `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
        return f'"{self.quota.name}";r={self.left};t={math.ceil(self.restored_in)}'


def take(quota: Quota, restored_at: float, *, now: float) -> tuple[float, Usage]:
    """Take one request from the quota, if there is one left.

    Args:
        quota: the quota.
        restored_at: when all of it is left again, by the clock of `now`, in seconds.
        now: the time.

    Returns:
        `restored_at` afterwards, and what is left then.
    """
    interval = quota.window / quota.requests
    wanted = max(restored_at, now) + interval
    if wanted - now > quota.window * (1 + _ROUNDING):
        used = usage_at(quota, restored_at, now=now)
        return restored_at, used._replace(retry_after=wanted - now - quota.window)
    return wanted, usage_at(quota, wanted, now=now)


def usage_at(quota: Quota, restored_at: float, *, now: float) -> Usage:
    """Return what is left of a quota; see `take`."""
    restored_in = max(0.0, restored_at - now)
    used = math.ceil(quota.requests * (restored_in / quota.window - _ROUNDING))
    return Usage(quota=quota, left=max(0, quota.requests - used), restored_in=restored_in)
