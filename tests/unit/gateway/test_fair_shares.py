"""A budget divided among peers, whatever they ask for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.fair_shares import FairShares

TRUSTED_PROXIES = ("a", "b", "c", "d", None)

# A peer and the amount it asks for; it gives a negative amount back, as far as it holds it.
asked = st.lists(st.tuples(st.sampled_from(TRUSTED_PROXIES), st.integers(-50, 50)), max_size=100)
budgets = st.integers(1, 200)
fractions = st.floats(0.05, 1.0)


def after(
    shares: FairShares, steps: list[tuple[str | None, int]], *, budget: int
) -> Counter[str | None]:
    """Do what is asked; gives what each peer holds."""
    held: Counter[str | None] = Counter()
    for peer, amount in steps:
        if amount < 0:
            returned = min(-amount, held[peer])
            shares.give_back(peer, returned)
            held[peer] -= returned
        elif shares.take(peer, amount):
            held[peer] += amount
        assert shares.held == held.total() <= budget
    return held


@given(budgets, fractions, asked)
def test_the_sum_never_exceeds_the_budget(
    budget: int, share: float, steps: list[tuple[str | None, int]]
) -> None:
    after(FairShares(budget=budget, share=share), steps, budget=budget)


@given(budgets, fractions, asked)
def test_all_that_is_given_back_can_be_taken_again(
    budget: int, share: float, steps: list[tuple[str | None, int]]
) -> None:
    shares = FairShares(budget=budget, share=share)
    for peer, amount in after(shares, steps, budget=budget).items():
        shares.give_back(peer, amount)
    assert shares.held == 0
    assert not shares._by_peer, "it remembers who has been there"
    assert shares.take(None, budget)


@given(budgets, fractions, asked)
def test_a_peer_that_holds_nothing_gets_a_part_of_what_is_left(
    budget: int, share: float, steps: list[tuple[str | None, int]]
) -> None:
    shares = FairShares(budget=budget, share=share)
    left = budget - after(shares, steps, budget=budget).total()
    assert left == 0 or shares.take("somebody else", max(1, int(share * left)))


@given(budgets, fractions, st.lists(st.integers(1, 50), max_size=100))
def test_one_peer_leaves_the_rest_to_others(budget: int, share: float, amounts: list[int]) -> None:
    shares = FairShares(budget=budget, share=share)
    held = after(shares, [("greedy", amount) for amount in amounts], budget=budget).total()
    assert held < share * budget + 1
    assert shares.take(None, budget - held)


@given(budgets, asked)
def test_a_share_of_one_does_not_limit(budget: int, steps: list[tuple[str | None, int]]) -> None:
    shares = FairShares(budget=budget, share=1.0)
    held = after(shares, steps, budget=budget)
    assert shares.take("a", budget - held.total())


def test_half_of_what_others_leave() -> None:
    shares = FairShares(budget=96, share=0.5)
    assert not shares.take("a", 49)
    assert shares.take("a", 48)
    assert shares.take("b", 24)
    assert not shares.take("a", 1)
    shares.give_back("a", 48)
    assert shares.take("a", 36)
    assert not shares.take("a", 1)


def test_what_is_handed_over_is_held_by_another() -> None:
    shares = FairShares(budget=32, share=1.0)
    assert shares.take("a", 30)
    assert shares.are_scarce
    shares.hand_over("a", "b")
    assert (shares.held_by("a"), shares.held_by("b"), shares.held) == (29, 1, 30)
    shares.give_back("b", 1)
    assert (shares.held_by("b"), shares.are_scarce) == (0, False)
