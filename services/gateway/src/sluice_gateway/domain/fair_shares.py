"""Divides a budget among peers, so that no peer can take all of it."""

from collections import Counter
from math import ceil
from typing import Final

__all__ = ["FairShares", "shares_of_topic_sets"]

_SHARE_OF_SET: Final = 0.5
# The part of a budget that counts as nearly nothing: a sixteenth.
_SCARCE: Final = 16


class FairShares:
    """Counts what each peer holds of a budget.

    A peer may hold at most `share` of what the other peers leave. With a share of one half, one
    peer gets half of the budget, two get a third each, and a third is left. This is the dynamic
    threshold of shared-memory switches (Choudhury and Hahne, 1998): a fixed quota would either
    waste the budget on one peer or let two peers take all of it.
    """

    def __init__(self, *, budget: int, share: float) -> None:
        self._budget = budget
        self._share = share
        self._held = 0
        self._by_peer: Counter[str | None] = Counter()

    @property
    def held(self) -> int:
        """What all peers hold together."""
        return self._held

    @property
    def are_scarce(self) -> bool:
        """Whether nearly nothing is left, so that even a peer with few may be refused one more."""
        return self._budget - self._held <= self._budget // _SCARCE

    def held_by(self, peer: str | None) -> int:
        """Return what the peer holds."""
        return self._by_peer[peer]

    def hand_over(self, giver: str | None, taker: str | None) -> None:
        """Give 1 of what one peer holds to another, however the shares are."""
        self._by_peer[taker] += 1
        self.give_back(giver, 1)
        self._held += 1

    def take(self, peer: str | None, amount: int) -> bool:
        """Take `amount` for a peer; False, and nothing is taken, if that is too much.

        None stands for peers that only the budget bounds.
        """
        own = self._by_peer[peer]
        left = self._budget - (self._held - own)
        # Rounded up, so that a peer that holds nothing can take 1 of whatever is left.
        most = left if peer is None else ceil(self._share * left)
        if own + amount > most:
            return False
        self._by_peer[peer] += amount
        self._held += amount
        return True

    def give_back(self, peer: str | None, amount: int) -> None:
        """Return what the peer took."""
        self._by_peer[peer] -= amount
        self._held -= amount
        if not self._by_peer[peer]:
            # Else every address ever seen would be remembered.
            del self._by_peer[peer]


def shares_of_topic_sets(budget: int, *, sets: int) -> FairShares:
    """Return shares for so many topic sets by their names; a single one may have all of it."""
    return FairShares(budget=budget, share=1.0 if sets == 1 else _SHARE_OF_SET)
