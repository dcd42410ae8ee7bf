"""When and how long to wait before a request is repeated; pure but for the chance in it."""

import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["Retries", "pause_between_requests", "retry_after"]

_PARAMETER: Final = re.compile(r";\s*([a-z]+)=([0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How long to try, in seconds.

    Args:
        within: after so long, no request is repeated; 0 repeats none. A request that is under way
            then may take `timeout` more.
        timeout: how long one request may take, without the wait for an outcome.
        first_pause: the pause before the first repetition, at most; it doubles each time.
        longest_pause: the longest pause, unless the server asks for a longer one.
    """

    within: float = 60.0
    timeout: float = 20.0
    first_pause: float = 0.2
    longest_pause: float = 10.0
    chance: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def pause(self, attempt: int, *, asked: float | None) -> float:
        """Return the seconds before repeating attempt number `attempt`, the first is 0.

        The pause is drawn from the upper half of a range that doubles, so that many clients do not
        come back at once. What the server has asked for is waited for, and a little more.
        """
        longest = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 32))
        drawn = longest * (1 + self.chance()) / 2
        return drawn if asked is None else max(drawn, asked + self.first_pause * self.chance())


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds of Retry-After (RFC 9110 section 10.2.3), None without a valid one."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def pause_between_requests(headers: Mapping[str, str]) -> float:
    """Return the seconds until the quota has room for one more request; 0 if it has some.

    It reads the first policy of draft-ietf-httpapi-ratelimit-headers-10: a quota of `q` requests in
    `w` seconds is restored evenly. Without `q` and `w`, it waits until all of it is restored.
    """
    left = _parameters(headers.get("RateLimit", ""))
    if left.get("r") != 0:
        return 0.0
    policy = _parameters(headers.get("RateLimit-Policy", ""))
    restored = float(left.get("t", 0))
    if policy.get("q") and policy.get("w"):
        return min(restored, math.ceil(policy["w"] / policy["q"]))
    return restored


def _parameters(value: str) -> dict[str, int]:
    first = value.partition(",")[0]
    return {name: int(number) for name, number in _PARAMETER.findall(first)}
