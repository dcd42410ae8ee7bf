"""The annotations of a Workflow record exactly the claimed and the published outcome."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_argo.outcomes import (
    Claim,
    Outcome,
    decode_claim,
    decode_outcome,
    encode_claim,
    encode_outcome,
    later_outcome,
)
from sluice_argo.timestamps import parse_timestamp
from sluice_contracts.status import TERMINAL_PHASES, Phase

MOMENT = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


ENDS = TERMINAL_PHASES - {Phase.REJECTED, Phase.EXPIRED}
outcomes = st.builds(
    Outcome,
    attempt=st.integers(1, 999_999_999),
    phase=st.sampled_from(sorted(ENDS)),
    finished_at=st.none()
    | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])),
)


@given(outcomes)
def test_a_mark_can_be_encoded_and_decoded(outcome: Outcome) -> None:
    assert decode_outcome(encode_outcome(outcome)) == outcome


@given(outcomes, st.integers(0, 2**63 - 1))
def test_a_claim_can_be_encoded_and_decoded(outcome: Outcome, sequence: int) -> None:
    claim = Claim(outcome=outcome, sequence=sequence, holder="3f9ac1")
    assert decode_claim(encode_claim(claim)) == claim


@given(outcomes)
def test_claims_and_marks_are_distinguishable(outcome: Outcome) -> None:
    claim = Claim(outcome=outcome, sequence=7, holder="3f9ac1")
    assert decode_outcome(encode_claim(claim)) is None
    assert decode_claim(encode_outcome(outcome)) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "{",
        "[" * 100_000,
        "[]",
        "1/Failed@",
        '{"outcome": "1/Failed@", "sequence": "7"}',
        '{"outcome": "1/Failed@", "sequence": "7", "holder": ""}',
        '{"outcome": "1/Failed@", "sequence": "7", "holder": 7}',
        '{"outcome": "1/Failed@", "sequence": 7, "holder": "ada"}',
        '{"outcome": "1/Failed@", "sequence": "-7", "holder": "ada"}',
        '{"outcome": "1/Failed@", "sequence": "12345678901234567890", "holder": "ada"}',
        '{"outcome": "1/Running@", "sequence": "7", "holder": "ada"}',
    ],
)
def test_an_invalid_claim_is_none(text: object) -> None:
    assert decode_claim(text) is None


def test_the_format_of_marks() -> None:
    outcome = Outcome(attempt=2, phase=Phase.FAILED, finished_at=MOMENT)
    assert encode_outcome(outcome) == "2/Failed@2026-01-01T00:05:00Z"


def test_the_format_of_claims() -> None:
    outcome = Outcome(attempt=2, phase=Phase.FAILED, finished_at=MOMENT)
    claim = Claim(outcome=outcome, sequence=4711, holder="3f9ac1")
    assert encode_claim(claim) == (
        '{"outcome": "2/Failed@2026-01-01T00:05:00Z", "sequence": "4711", "holder": "3f9ac1"}'
    )


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "1",
        "1/Failed",
        "0/Failed@",
        "x/Failed@",
        "1/Running@",
        "1/Nonsense@",
        "1/Rejected@",
        "\u0661/Failed@",
        "-1/Error@",
    ],
)
def test_an_invalid_mark_is_none(text: object) -> None:
    assert decode_outcome(text) is None


def test_the_later_attempt_counts_and_the_first_argument_on_a_tie() -> None:
    first = Outcome(attempt=1, phase=Phase.FAILED, finished_at=MOMENT)
    same = Outcome(attempt=1, phase=Phase.ERROR, finished_at=MOMENT)
    second = Outcome(attempt=2, phase=Phase.SUCCEEDED, finished_at=MOMENT)
    assert later_outcome(None, None) is None
    assert later_outcome(first, None) is first
    assert later_outcome(None, first) is first
    assert later_outcome(first, second) is second
    assert later_outcome(second, first) is second
    assert later_outcome(first, same) is first


@pytest.mark.parametrize("text", [None, 5, "", "yesterday"])
def test_an_invalid_time_is_none(text: object) -> None:
    assert parse_timestamp(text) is None


def test_a_time_without_an_offset_is_in_utc() -> None:
    assert parse_timestamp("2026-01-01T00:05:00") == MOMENT
