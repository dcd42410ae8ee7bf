"""Delays between retries."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Backoff"]


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential delays with equal jitter, so that clients do not retry at the same moment.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(seconds=30)
    factor: float = 2.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, failures: int, *, at_least: float = 0.0) -> float:
        """Return the seconds to wait after this many consecutive failures, counted from 1.

        `at_least` is the delay that the server asked for, for example by Retry-After.
        """
        # The exponent is bounded: it would overflow after a night of failures.
        doublings = min(failures - 1, 32)
        ceiling = min(
            self.longest.total_seconds(), self.first.total_seconds() * self.factor**doublings
        )
        return max(at_least, self.uniform(ceiling / 2, ceiling))
