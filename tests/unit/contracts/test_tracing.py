"""W3C Trace Context: the trace continues for any header of the caller."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.tracing import continue_trace, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
_SHAPE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_trace_continues_with_a_new_span(flags: str) -> None:
    parent = f"00-{TRACE}-00f067aa0ba902b7-{flags}"
    child = continue_trace(parent)
    assert _SHAPE.fullmatch(child)
    assert child.startswith(f"00-{TRACE}-")
    assert child.endswith(f"-{flags}")
    assert child != parent


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "",
        PARENT.upper(),
        PARENT + "-x",
        PARENT + "\n",
        " " + PARENT,
        PARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-00f067aa0ba902b7",
    ],
)
def test_a_malformed_parent_starts_a_trace(malformed: str | None) -> None:
    assert trace_id(malformed) is None
    started = continue_trace(malformed)
    assert _SHAPE.fullmatch(started)
    assert TRACE not in started


@given(st.none() | st.text())
def test_a_traceparent_is_always_well_formed(parent: str | None) -> None:
    started = continue_trace(parent)
    assert _SHAPE.fullmatch(started)
    assert trace_id(started) == started.split("-")[1]


def test_new_traces_differ() -> None:
    assert len({trace_id(continue_trace(None)) for _ in range(100)}) == 100
