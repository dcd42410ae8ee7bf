"""How much is taken on at a time: overload is refused at the door, not buffered."""

from dataclasses import dataclass
from typing import Self

from sluice_contracts.problems import ProblemType
from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.domain.fair_shares import FairShares, shares_of_topic_sets
from sluice_gateway.services.appending import topic_set_full

__all__ = ["AdmittedRequest", "LoadShedder"]

_RETRY_AFTER_S = 1


@dataclass(frozen=True, kw_only=True)
class _Budgets:
    """What peers share: bodies, their bytes, requests; and topic sets: requests once more."""

    bodies: FairShares
    size: FairShares
    requests: FairShares
    by_topic_set: FairShares


class AdmittedRequest:
    """A request that was let in, and what it holds: its places, and the bytes that have arrived."""

    def __init__(self, peer: str, *, budgets: _Budgets, topics: TopicSets) -> None:
        self._peer = peer
        self._budgets = budgets
        self._topics = topics
        self._place: FairShares | None = None
        self._bytes = 0
        self._topic_sets: set[str] = set()

    def __enter__(self) -> Self:
        """Hold a place among the bodies that are coming.

        Raises:
            ProblemError: OVERLOADED, there are too many, in all or of this peer.
        """
        self._move_to(self._budgets.bodies)
        return self

    def __exit__(self, *_: object) -> None:
        """Release all that is held."""
        self.release()

    def release(self) -> None:
        """Release all that is held."""
        for name in self._topic_sets:
            self._budgets.by_topic_set.give_back(name, 1)
        self._topic_sets.clear()
        self._budgets.size.give_back(self._peer, self._bytes)
        self._bytes = 0
        if self._place is not None:
            self._place.give_back(self._peer, 1)
            self._place = None

    def add(self, size: int) -> None:
        """Hold bytes that have arrived.

        Raises:
            ProblemError: OVERLOADED, there is no room for them; nothing more should be read.
        """
        if not self._budgets.size.take(self._peer, size):
            raise _overloaded()
        self._bytes += size

    def begin(self) -> None:
        """Hold a place among the requests in flight instead, now that the body is there.

        Raises:
            ProblemError: OVERLOADED, there are too many, in all or of this peer.
        """
        self._move_to(self._budgets.requests)

    def wait_for(self, tenant: str) -> None:
        """Hold a place among the requests that wait for the topics of this tenant, as well.

        Raises:
            ProblemError: UNAVAILABLE, too many wait for them.
        """
        name = self._topics.of_tenant(tenant).name
        if name in self._topic_sets:
            return
        if not self._budgets.by_topic_set.take(name, 1):
            raise topic_set_full()
        self._topic_sets.add(name)

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
    what the others leave (see FairShares). So does a topic set of the requests in flight, if there
    are several: those that wait for topics which take nothing leave room for all others.
    """

    def __init__(
        self,
        *,
        max_requests: int,
        max_bytes: int,
        max_bodies: int,
        peer_share: float,
        topics: TopicSets,
    ) -> None:
        self._topics = topics
        self._budgets = _Budgets(
            bodies=FairShares(budget=max_bodies, share=peer_share),
            size=FairShares(budget=max_bytes, share=peer_share),
            requests=FairShares(budget=max_requests, share=peer_share),
            by_topic_set=shares_of_topic_sets(max_requests, sets=len(topics.all)),
        )

    @property
    def in_flight(self) -> int:
        """The number of requests in flight: those whose body is there."""
        return self._budgets.requests.held

    @property
    def bytes_held(self) -> int:
        """The bytes of bodies, complete or not, that are held."""
        return self._budgets.size.held

    def admitted(self, peer: str) -> AdmittedRequest:
        """Take on a request whose body is still to come, as a context: at its end all is released.

        Raises:
            ProblemError: when it is entered: OVERLOADED, there are too many bodies coming, in all
                or of this peer.
        """
        return AdmittedRequest(peer, budgets=self._budgets, topics=self._topics)


def _overloaded() -> ProblemError:
    return ProblemError.of(
        ProblemType.OVERLOADED,
        "The gateway has too many requests in flight, in all or from your address. Nothing was "
        "started; try again after the time in Retry-After.",
        retry_after=_RETRY_AFTER_S,
    )
