"""How much is held for readers, who may be slow: one budget for all, and a share for each peer."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError

__all__ = ["PIECE", "ResponseBudget", "ResponseLimits"]

PIECE: Final = 32 * 1024
"""Bytes that are written at a time; the next piece is made once the reader has taken this one."""

# The piece itself, and the transport's copy of it.
_STREAM: Final = 2 * PIECE
_RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, kw_only=True)
class ResponseLimits:
    """Bytes held and streams open; a peer is one client address."""

    max_bytes: int = 96 * 1024 * 1024
    max_bytes_per_peer: int = 32 * 1024 * 1024
    max_streams: int = 1000
    max_streams_per_peer: int = 250


class ResponseBudget:
    """Counts the open streams and the bytes of the answers that are being sent."""

    def __init__(self, limits: ResponseLimits) -> None:
        self._limits = limits
        self._bytes: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """The bytes that are held."""
        return self._bytes.total()

    @contextmanager
    def stream(self, peer: str) -> Iterator[None]:
        """Follow a run for the peer while the body runs; it holds a piece at most.

        Raises:
            ProblemError: OVERLOADED.
        """
        limits = self._limits
        if self._streams[peer] >= limits.max_streams_per_peer:
            raise _overloaded("Your address follows as many runs as one may.")
        if self._streams.total() >= limits.max_streams:
            raise _overloaded("The gateway has as many event streams as it may have.")
        with self.answer(peer, _STREAM), _counted(self._streams, peer, 1):
            yield

    @contextmanager
    def answer(self, peer: str, size: int) -> Iterator[None]:
        """Hold an answer of so many bytes for the peer while the body runs.

        Raises:
            ProblemError: OVERLOADED. An answer larger than a limit is given when nothing else is.
        """
        limits = self._limits
        held = self._bytes[peer]
        if held and held + size > limits.max_bytes_per_peer:
            raise _overloaded("Too many answers to your address wait to be read.")
        held = self._bytes.total()
        if held and held + size > limits.max_bytes:
            raise _overloaded("Too many answers of the gateway wait to be read.")
        with _counted(self._bytes, peer, size):
            yield


@contextmanager
def _counted(counter: Counter[str], peer: str, amount: int) -> Iterator[None]:
    counter[peer] += amount
    try:
        yield
    finally:
        counter[peer] -= amount
        if not counter[peer]:
            # Peers come and go.
            del counter[peer]


def _overloaded(why: str) -> ProblemError:
    return ProblemError.of(
        ProblemType.OVERLOADED,
        f"{why} Read or close what is open, or try again after the time in Retry-After.",
        retry_after=_RETRY_AFTER_S,
    )
