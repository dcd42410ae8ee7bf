"""How long to wait before trying again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Backoff"]


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential delays with equal jitter, so that many clients do not come back together.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(seconds=30)
    factor: float = 2.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, failures: int, *, at_least: float = 0.0) -> float:
        """Give the seconds to wait after so many failures in a row, the first being 1.

        `at_least` is what the other side asked for, as with Retry-After.
        """
        # Bounded before the power, which would overflow after a night of failures.
        doublings = min(failures - 1, 32)
        ceiling = min(
            self.longest.total_seconds(), self.first.total_seconds() * self.factor**doublings
        )
        return max(at_least, self.uniform(ceiling / 2, ceiling))
