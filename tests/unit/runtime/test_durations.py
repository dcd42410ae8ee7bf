"""Durations in settings."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sluice_runtime.durations import Duration, seconds

_DURATION = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("10s", timedelta(seconds=10)),
        ("1.5m", timedelta(seconds=90)),
        ("1h", timedelta(hours=1)),
        ("7d", timedelta(days=7)),
        (" 10 s ", timedelta(seconds=10)),
        ("0s", timedelta()),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_durations_are_parsed(written: object, meant: timedelta) -> None:
    assert _DURATION.validate_python(written) == meant


@pytest.mark.parametrize(
    "written", ["", "10", "s", "-1s", "1w", "1s 2s", "1e3s", "PT10S", "1,5s", "10S", "00:00:10"]
)
def test_other_text_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match=r"Must be a number with a unit, as in 500ms, 10s"):
        _DURATION.validate_python(written)


@pytest.mark.parametrize("written", ["999999999999d", "9" * 400 + "s"])
def test_too_long_durations_are_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="Must be less than a million years"):
        _DURATION.validate_python(written)


@given(st.text("0123456789.smhd -", max_size=30) | st.text(max_size=10))
def test_any_text_is_a_duration_or_refused(written: str) -> None:
    try:
        length = _DURATION.validate_python(written)
    except ValidationError:
        length = timedelta()
    assert seconds(length) >= 0
