"""Records of the controls topic: what they pause, and what is wrong with others."""

from datetime import UTC, datetime

import pytest

from sluice_contracts.controls import (
    Control,
    ControlTarget,
    InvalidControlError,
    decode_control,
    encode_control,
)
from sluice_contracts.records import IncomingRecord, Position, header

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
ACME = ControlTarget("tenant", "acme")
PAUSED = Control(state="paused", reason="migration", by="user:ada", at=AT)


def record(key: bytes | None, value: bytes | None) -> IncomingRecord:
    return IncomingRecord(
        position=Position("sluice.controls", 0, 1), timestamp_ms=0, key=key, value=value
    )


def test_a_control_is_read_as_it_was_written() -> None:
    written = encode_control(ACME, PAUSED, source="/sluice/gateway")
    assert written.key == b"tenant/acme"
    assert header(written.headers, "ce_type") == "sluice.control.paused"
    assert header(written.headers, "ce_subject") == "tenant/acme"
    assert decode_control(record(written.key, written.value)) == (ACME, PAUSED)


def test_a_control_without_its_time_is_not_written() -> None:
    with pytest.raises(ValueError, match="time"):
        encode_control(ACME, Control(state="paused"), source="/x")


def test_a_plain_value_of_a_person_is_a_control() -> None:
    target, control = decode_control(record(b"workflow/hello", b'{"state": "draining"}'))
    assert target == ControlTarget("workflow", "hello")
    assert control is not None
    assert control.stops_starts


def test_members_of_a_later_release_are_passed_over() -> None:
    _, control = decode_control(record(b"tenant/a", b'{"state": "running", "until": 5}'))
    assert control == Control(state="running")
    assert not control.stops_starts


@pytest.mark.parametrize("value", [None, b""])
def test_without_a_value_nothing_is_paused(value: bytes | None) -> None:
    assert decode_control(record(b"tenant/acme", value)) == (ACME, None)


@pytest.mark.parametrize("key", [None, b"", b"acme", b"tenant/", b"tenant/A!", b"run/a", b"\xff/a"])
def test_a_key_that_names_nothing_is_refused(key: bytes | None) -> None:
    with pytest.raises(InvalidControlError, match="the key must be"):
        decode_control(record(key, b'{"state": "paused"}'))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (b"no JSON", "value"),
        (b"[]", "value"),
        (b'{"state": "stopped"}', "state"),
        (b'{"state": "paused", "at": 5}', "at"),
        (b'{"reason": "secret words"}', "state"),
    ],
)
def test_a_value_that_says_nothing_is_refused_by_its_place(value: bytes, place: str) -> None:
    with pytest.raises(InvalidControlError, match=f": {place}") as error:
        decode_control(record(b"tenant/acme", value))
    assert "secret" not in str(error.value)
