"""How much is taken on at a time: overload is refused at the door, not buffered."""

from collections.abc import Iterator
from contextlib import contextmanager

from sluice_contracts.problems import ProblemType
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.fair_shares import FairShares

__all__ = ["AdmittedRequest", "LoadShedder"]

_RETRY_AFTER_S = 1


class AdmittedRequest:
    """A request that was let in, and what it holds: its place, and the bytes that have arrived."""

    def __init__(
        self, peer: str, *, bodies: FairShares, size: FairShares, requests: FairShares
    ) -> None:
        self._peer = peer
        self._bodies = bodies
        self._size = size
        self._requests = requests
        self._place: FairShares | None = None
        self._bytes = 0

    def expect_body(self) -> None:
        """Hold a place among the bodies that are coming.

        Raises:
            ProblemError: OVERLOADED, there are too many, in all or of this peer.
        """
        self._move_to(self._bodies)

    def add(self, size: int) -> None:
        """Hold bytes that have arrived.

        Raises:
            ProblemError: OVERLOADED, there is no room for them; nothing more should be read.
        """
        if not self._size.take(self._peer, size):
            raise _overloaded()
        self._bytes += size

    def begin(self) -> None:
        """Hold a place among the requests in flight instead, now that the body is there.

        Raises:
            ProblemError: OVERLOADED, there are too many, in all or of this peer.
        """
        self._move_to(self._requests)

    def release(self) -> None:
        """Release all that is held."""
        self._size.give_back(self._peer, self._bytes)
        self._bytes = 0
        if self._place is not None:
            self._place.give_back(self._peer, 1)
            self._place = None

    def _move_to(self, place: FairShares) -> None:
        if not place.take(self._peer, 1):
            raise _overloaded()
        if self._place is not None:
            self._place.give_back(self._peer, 1)
        self._place = place


class LoadShedder:
    """Bounds the bodies that are coming, the bytes that have arrived, and the requests in flight.

    Only what has come counts: a client that declares a large body and sends nothing takes up a
    place among `max_bodies` and nothing else. Of each budget a peer gets at most `peer_share` of
    what the others leave (see FairShares).
    """

    def __init__(
        self, *, max_requests: int, max_bytes: int, max_bodies: int, peer_share: float
    ) -> None:
        self._requests = FairShares(budget=max_requests, share=peer_share)
        self._bytes = FairShares(budget=max_bytes, share=peer_share)
        self._bodies = FairShares(budget=max_bodies, share=peer_share)

    @property
    def in_flight(self) -> int:
        """The number of requests in flight: those whose body is there."""
        return self._requests.held

    @property
    def bytes_held(self) -> int:
        """The bytes of bodies, complete or not, that are held."""
        return self._bytes.held

    @contextmanager
    def admitted(self, peer: str) -> Iterator[AdmittedRequest]:
        """Take on a request whose body is still to come; all it holds is given back at the end.

        Raises:
            ProblemError: OVERLOADED, there are too many bodies coming, in all or of this peer.
        """
        admitted = AdmittedRequest(
            peer, bodies=self._bodies, size=self._bytes, requests=self._requests
        )
        try:
            admitted.expect_body()
            yield admitted
        finally:
            admitted.release()


def _overloaded() -> ProblemError:
    return ProblemError.of(
        ProblemType.OVERLOADED,
        "The gateway has too many requests in flight, in all or from your address. Nothing was "
        "started; try again after the time in Retry-After.",
        retry_after=_RETRY_AFTER_S,
    )
