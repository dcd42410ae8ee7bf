"""Times in the store of runs."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sluice_gateway.adapters.run_store_postgres.conditions import Conditions
from sluice_gateway.domain.run_changes import first_millisecond, milliseconds, moment
from sluice_gateway.domain.run_query import RunFilter

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(("microseconds", "expected"), [(-1, 0), (0, 0), (1, 1), (1000, 1)])
def test_a_bound_is_the_first_millisecond_that_is_not_before_it(
    microseconds: int, expected: int
) -> None:
    assert first_millisecond(moment(0) + timedelta(microseconds=microseconds)) == expected


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=hours)) for hours in (-23, 0, 23)])
def test_the_first_and_the_last_moment_are_bounds(zone: timezone) -> None:
    hours = zone.utcoffset(None) // timedelta(milliseconds=1)
    first, last = FIRST.replace(tzinfo=zone), LAST.replace(tzinfo=zone)

    assert first_millisecond(first) == milliseconds(FIRST) - hours
    assert first_millisecond(last) == milliseconds(LAST) + 1 - hours


def test_postgres_takes_the_first_and_the_last_moment() -> None:
    conditions = Conditions()

    conditions.run(RunFilter(since=FIRST, until=LAST))

    assert conditions.arguments == [milliseconds(FIRST), milliseconds(LAST) + 1]
