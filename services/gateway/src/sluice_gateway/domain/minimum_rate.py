"""How slowly a body may come."""

__all__ = ["MinimumRate"]


class MinimumRate:
    """The deadline of a body that has to come at a minimum rate.

    Each byte extends the deadline by the time that it may take at `rate` (bytes a second), but
    never beyond `grace` seconds from now. So a body may pause for `grace`, and one that comes at
    half the rate is ended after twice as long. `longest` seconds after its begin all of it has to
    be there. Times are those of the event loop's clock.
    """

    def __init__(self, *, begin: float, rate: float, grace: float, longest: float) -> None:
        self._rate = rate
        self._grace = grace
        self._patience = begin + grace
        self._end = begin + longest

    @property
    def deadline(self) -> float:
        """The time by which more of the body, or its end, has to be there."""
        return min(self._patience, self._end)

    def advance(self, size: int, *, now: float) -> None:
        """Count bytes that have arrived."""
        self._patience = min(self._patience + size / self._rate, now + self._grace)
