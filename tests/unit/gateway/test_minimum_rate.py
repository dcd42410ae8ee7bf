"""How slowly a body may come, second by second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.minimum_rate import MinimumRate


def ended_after(*, rate: float, every: float = 1.0, allowed: float = 100.0) -> float | None:
    """Send at a rate, in pieces; gives when the deadline had passed, None if all 60 s went by."""
    pace = MinimumRate(begin=0.0, rate=allowed, grace=5.0, longest=60.0)
    now = 0.0
    while now + every < 60.0:
        now += every
        if now > pace.deadline:
            return pace.deadline
        pace.advance(int(rate * every), now=now)
    return None


@pytest.mark.parametrize(
    ("rate", "end"), [(0, 5.0), (25, 6.5), (50, 9.5), (75, 17.75), (100, None), (1000, None)]
)
def test_a_body_below_the_rate_is_ended_the_sooner_the_slower(rate: int, end: float | None) -> None:
    found = ended_after(rate=rate)
    assert found == end


@given(st.floats(100.0, 10_000.0), st.floats(0.1, 4.9))
def test_a_body_that_keeps_the_rate_in_pieces_is_never_ended(rate: float, every: float) -> None:
    assert ended_after(rate=rate + 10, every=every) is None


def test_a_lead_is_not_kept_for_longer_than_the_grace() -> None:
    pace = MinimumRate(begin=100.0, rate=1.0, grace=5.0, longest=60.0)
    pace.advance(1_000_000, now=101.0)
    assert pace.deadline == 106.0


def test_all_of_it_has_to_be_there_in_the_end() -> None:
    pace = MinimumRate(begin=100.0, rate=1.0, grace=5.0, longest=15.0)
    pace.advance(1_000_000, now=114.0)
    assert pace.deadline == 115.0
