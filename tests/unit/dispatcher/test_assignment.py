"""Whether another dispatcher may have acted on a record before this one."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice_contracts.records import IncomingRecord, Position
from sluice_dispatcher.services.assignment import Assignment

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def appended(moment: datetime) -> IncomingRecord:
    return IncomingRecord(
        position=Position("requests", 0, 7),
        timestamp_ms=int(moment.timestamp() * 1000),
        key=None,
        value=None,
    )


@pytest.mark.parametrize(
    ("after", "first"),
    [(timedelta(hours=-1), False), (timedelta(minutes=4), False), (timedelta(minutes=6), True)],
)
def test_a_record_from_well_after_the_assignment_has_one_reader(
    after: timedelta, first: bool
) -> None:
    """The clocks of brokers may differ by some minutes."""
    assert Assignment(lambda: BEGAN).is_first_reader_of(appended(BEGAN + after)) is first


def test_a_new_assignment_begins_again() -> None:
    moments = iter([BEGAN, BEGAN + timedelta(hours=1)])
    assignment = Assignment(lambda: next(moments))
    record = appended(BEGAN + timedelta(minutes=30))
    assert assignment.is_first_reader_of(record)
    assignment.restart()
    assert not assignment.is_first_reader_of(record)
