"""When a run that waits starts, as far as it can be foretold."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sluice_gateway.domain.queue_places import RATE_WINDOW, queue_state

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def test_the_place_and_the_rate_of_the_last_starts_say_when() -> None:
    state = queue_state(notice=None, ahead=2, started=10, now=NOW)
    assert state.position == 3
    assert state.eta == NOW + RATE_WINDOW * 3 / 10


def test_without_any_start_nobody_knows() -> None:
    assert queue_state(notice=None, ahead=2, started=0, now=NOW).eta is None


@pytest.mark.parametrize(("held_by", "is_known"), [("paused", False), ("tenant-limit", True)])
def test_nobody_knows_when_a_pause_ends(held_by: str, is_known: bool) -> None:
    held = {"held_by": held_by, "detail": "Why.", "since": NOW.isoformat()}
    state = queue_state(notice=json.dumps(held), ahead=0, started=10, now=NOW)
    assert (state.position, state.held_by, state.since) == (1, held_by, NOW)
    assert state.eta == (NOW + timedelta(seconds=30) if is_known else None)
