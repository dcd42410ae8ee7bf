"""Log lines for people."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.runner.rendering import render

NOW = datetime(2026, 5, 4, 12, 3, 44, tzinfo=UTC)


def plain(name: str, line: str, *, now: datetime = NOW) -> str:
    return render(name, line, now=now, coloured=False)


def test_a_json_line_is_formatted_with_its_own_time() -> None:
    line = json.dumps(
        {
            "run_id": "order-1",
            "partitions": [0, 2],
            "reason": "no way",
            "event": "run accepted",
            "level": "info",
            "service": "gateway",
            "timestamp": "2026-05-04T12:00:01.123456Z",
        }
    )
    assert plain("gateway", line) == (
        '12:00:01 gateway         run accepted run_id=order-1 partitions=[0,2] reason="no way"'
    )


def test_times_are_shown_in_the_readers_zone() -> None:
    line = '{"event":"x","timestamp":"2026-05-04T12:00:01Z"}'
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    assert plain("engine", line, now=local).startswith("14:00:01 engine ")


@pytest.mark.parametrize(
    ("level", "shown"),
    [("info", "it broke"), ("warning", "WARNING it broke"), ("error", "ERROR it broke")],
)
def test_warnings_and_errors_are_named(level: str, shown: str) -> None:
    line = json.dumps({"event": "it broke", "level": level})
    assert plain("gateway", line) == f"12:03:44 gateway         {shown}"


def test_a_traceback_follows_indented() -> None:
    line = json.dumps({"event": "it broke", "exception": "Traceback:\n  File x\nValueError: y"})
    assert plain("gateway", line).splitlines()[1:] == [
        "    Traceback:",
        "      File x",
        "    ValueError: y",
    ]


@pytest.mark.parametrize(
    "line", ["plain words", "{not json", '["a"]', "{}", '{"no":"event"}', "null", ""]
)
def test_other_lines_stay_unchanged(line: str) -> None:
    assert plain("kafka", line) == f"12:03:44 kafka           {line}"


def test_a_plain_line_keeps_its_own_time() -> None:
    assert plain("kafka", "01:02:03 WARN x") == "01:02:03 kafka           WARN x"


def test_colours_do_not_change_the_text() -> None:
    line = '{"event":"x","level":"error","a":1}'
    coloured = render("gateway", line, now=NOW, coloured=True)
    assert "\x1b[36mgateway" in coloured
    assert "\x1b[31mERROR" in coloured
    for code in ("0", "31", "36", "90"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain("gateway", line)


VALUES = st.none() | st.text() | st.integers() | st.lists(st.text(), max_size=3)


@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=4))
def test_any_json_line_can_be_rendered(entry: dict[str, object]) -> None:
    assert plain("x", json.dumps(entry | {"event": "e"})).startswith("1")


@given(st.text())
def test_any_text_can_be_rendered(line: str) -> None:
    assert plain("x", line)
