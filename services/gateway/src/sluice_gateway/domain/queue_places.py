"""Where a run stands that waits for its start, and when that is, as far as it can be foretold."""

import json
from datetime import datetime, timedelta
from typing import Final

from sluice_contracts.status import QueueState

__all__ = ["RATE_WINDOW", "queue_state"]

RATE_WINDOW: Final = timedelta(minutes=5)
"""The starts of this time say how fast the queue moves."""

_PAUSED: Final = "paused"


def queue_state(*, notice: str | None, ahead: int, started: int, now: datetime) -> QueueState:
    """Return the state of one run in the queue.

    Args:
        notice: what holds it up, as JSON; None if nothing does.
        ahead: how many runs start before it.
        started: how many runs have started within the last `RATE_WINDOW`.
        now: the time.
    """
    held = json.loads(notice) if notice else {}
    position = ahead + 1
    # An operator decides when a pause ends: the starts of others say nothing of that.
    is_foreseeable = started > 0 and held.get("held_by") != _PAUSED
    waits = RATE_WINDOW * position / started if is_foreseeable else None
    return QueueState(
        position=position,
        **held,
        eta=None if waits is None else (now + waits).replace(microsecond=0),
    )
