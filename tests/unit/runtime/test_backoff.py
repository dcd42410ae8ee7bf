"""Delays grow, have jitter and are bounded."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_runtime.backoff import Backoff


def _latest(_: float, high: float) -> float:
    return high


def _earliest(low: float, _: float) -> float:
    return low


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(first=timedelta(seconds=1), longest=timedelta(seconds=10), uniform=_latest)
    assert [backoff.delay(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_half_of_the_delay_is_jitter() -> None:
    backoff = Backoff(first=timedelta(seconds=1), uniform=_earliest)
    assert [backoff.delay(failures) for failures in (1, 2, 3)] == [0.5, 1, 2]


def test_a_longer_retry_after_wins() -> None:
    backoff = Backoff(first=timedelta(seconds=1), uniform=_latest)
    assert backoff.delay(1, at_least=7) == 7
    assert backoff.delay(1, at_least=0.5) == 1


@given(st.integers(0, 10**9), st.floats(1, 100))
def test_many_failures_do_not_overflow(failures: int, factor: float) -> None:
    delay = Backoff(factor=factor).delay(failures)
    assert 0 < delay <= 30


@pytest.mark.parametrize("failures", [1, 2, 50])
def test_delays_of_clients_differ(failures: int) -> None:
    assert len({Backoff().delay(failures) for _ in range(50)}) > 1
