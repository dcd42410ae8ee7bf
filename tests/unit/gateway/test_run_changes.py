"""What records change in the store of runs, and times in it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sluice_contracts.record_origins import RecordOrigins
from sluice_gateway.adapters.run_store_postgres.conditions import Conditions
from sluice_gateway.domain.run_changes import (
    EventChange,
    change_of,
    first_millisecond,
    milliseconds,
    moment,
)
from sluice_gateway.domain.run_query import RunFilter
from tests.unit.gateway.harness import SETS, published, status_record

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


@pytest.mark.parametrize(
    "outputs", ['{"x":1.0}', '{"x":NaN}', '{"x":-Infinity}', '{"x":"Ina Nina"}', '{\n"x":\r1}']
)
def test_an_event_is_kept_as_one_line_of_json(outputs: str) -> None:
    record = status_record(published(3), offset=0)
    text = (record.value or b"").decode().replace('"outputs":{}', f'"outputs":{outputs}')
    change = change_of(
        replace(record, value=text.encode()),
        origins=RecordOrigins(SETS),
        keeps_parameters=lambda _: True,
    )
    assert isinstance(change, EventChange)
    assert not {"\n", "\r"} & set(change.data)
    kept = json.loads(change.data, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    x = json.loads(outputs)["x"]
    assert kept["outputs"] == {"x": x if x in (1, "Ina Nina") else None}


def test_fields_of_a_newer_version_are_kept() -> None:
    """Those who read the stream may know them, although this gateway does not."""
    record = status_record(published(3), offset=0)
    text = (record.value or b"").decode().removesuffix("}") + ',"newer":[1]}'
    change = change_of(
        replace(record, value=text.encode()),
        origins=RecordOrigins(SETS),
        keeps_parameters=lambda _: True,
    )
    assert isinstance(change, EventChange)
    assert json.loads(change.data)["newer"] == [1]
