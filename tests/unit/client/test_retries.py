"""How long to wait before a request is repeated."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client import Retries
from sluice_client.retries import pause_between_requests, retry_after

NOW = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)


def test_pauses_double_up_to_a_limit() -> None:
    retries = Retries(first_pause=0.5, longest_pause=4.0, chance=lambda: 1.0)
    assert [retries.pause(attempt, asked=None) for attempt in range(5)] == [0.5, 1, 2, 4, 4]
    assert retries.pause(1_000_000, asked=None) == 4


def test_pauses_are_spread_over_half_of_the_range() -> None:
    retries = Retries(first_pause=0.5, chance=lambda: 0.0)
    assert [retries.pause(attempt, asked=None) for attempt in range(3)] == [0.25, 0.5, 1]


@given(attempt=st.integers(0, 100), asked=st.floats(0, 3600), chance=st.floats(0, 1))
def test_no_pause_is_shorter_than_was_asked_for(attempt: int, asked: float, chance: float) -> None:
    assert Retries(chance=lambda: chance).pause(attempt, asked=asked) >= asked


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 120 ", 120.0),
        ("Tue, 01 Dec 2026 12:00:30 GMT", 30.0),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, now=NOW) == seconds


def test_without_retry_after_nothing_was_asked_for() -> None:
    assert retry_after({}, now=NOW) is None


@pytest.mark.parametrize(
    ("limit", "policy", "seconds"),
    [
        ('"principal";r=42;t=35', '"principal";q=100;w=60', 0.0),
        ('"principal";r=0;t=35', '"principal";q=100;w=60', 1.0),
        ('"principal";r=0;t=35', '"principal";q=2;w=60', 30.0),
        ('"principal";r=0;t=5', '"principal";q=2;w=60', 5.0),
        ('"principal";r=0;t=35', "", 35.0),
        ('"a";r=0;t=9, "b";r=5;t=1', "", 9.0),
        ("nonsense", "nonsense", 0.0),
        ("", "", 0.0),
    ],
)
def test_an_empty_quota_is_waited_for(limit: str, policy: str, seconds: float) -> None:
    headers = {"RateLimit": limit, "RateLimit-Policy": policy}
    assert pause_between_requests(headers) == seconds
