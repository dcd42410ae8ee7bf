"""How much is taken on at a time: overload is refused at the door, not buffered."""

from collections.abc import Iterator
from contextlib import contextmanager

from sluice_contracts.problems import ProblemType
from sluice_gateway.services.errors import ProblemError

__all__ = ["Admission"]

_RETRY_AFTER_S = 1


class Admission:
    """Counts the requests in hand and the bytes of their bodies."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    @property
    def in_flight(self) -> int:
        """Give the number of requests in hand."""
        return self._requests

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Take on a request whose body has up to `size` bytes while the body runs.

        Raises:
            ProblemError: OVERLOADED, there is too much in hand already.
        """
        if self._requests >= self._max_requests or self._bytes + size > self._max_bytes:
            raise ProblemError.of(
                ProblemType.OVERLOADED,
                "The gateway has too many requests in hand. Nothing was started; "
                "try again after the time in Retry-After.",
                retry_after=_RETRY_AFTER_S,
            )
        self._requests += 1
        self._bytes += size
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= size
