"""Status records: written ones are read, too large ones truncated, foreign ones refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.ids import RunKey
from sluice_contracts.notices import RefusalNotice
from sluice_contracts.problems import ProblemCause, ProblemType, problem
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.status import TERMINAL_PHASES, Phase, StatusEvent, event_id
from sluice_contracts.status_codec import (
    ForeignRecordError,
    PublishedEvent,
    decode_status,
    encode_notice,
    encode_status,
    event_type,
)
from sluice_contracts.steps import Step
from sluice_contracts.topics import MAX_STATUS_BYTES, MAX_STATUS_RECORD_BYTES

from .messages import (
    KEY,
    TRACEPARENT,
    published,
    received,
    refusal,
    status_event,
    step,
)
from .test_ids import RUN_IDS, TENANTS
from .test_strict_json import OBJECTS, TEXT

_MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
_STEPS = st.builds(
    Step,
    id=TEXT,
    name=TEXT,
    template=st.none() | TEXT,
    phase=TEXT,
    started_at=st.none() | _MOMENTS,
    outputs=OBJECTS,
    logs=st.dictionaries(TEXT, TEXT),
)
_EVENTS = st.builds(
    StatusEvent,
    event_id=TEXT,
    run_id=RUN_IDS,
    tenant=TENANTS,
    workflow=st.none() | TEXT,
    workflow_name=TEXT,
    attempt=st.integers(1, 99),
    phase=st.sampled_from(Phase),
    terminal=st.booleans(),
    message=st.none() | TEXT,
    steps=st.lists(_STEPS, max_size=2).map(tuple),
    outputs=OBJECTS,
    observed_at=_MOMENTS,
    sequence=st.integers(0, 2**64),
)


@given(
    _EVENTS,
    st.none() | st.from_regex("[0-9a-f]{64}", fullmatch=True),
    st.none() | st.just(TRACEPARENT),
)
def test_a_written_event_can_be_read(
    event: StatusEvent, fingerprint: str | None, traceparent: str | None
) -> None:
    one = PublishedEvent(event=event, fingerprint=fingerprint, traceparent=traceparent)
    written = encode_status(one, source="/test")
    assert written.key == str(RunKey(event.tenant, event.run_id)).encode()
    assert decode_status(received(written)) == one


def test_a_notice_is_read() -> None:
    written = encode_notice(refusal(), source="/test", traceparent=None)
    assert written.key == str(KEY).encode()
    assert decode_status(received(written)) == refusal()
    assert refusal().key == KEY


def test_the_kind_of_a_record_is_in_its_header() -> None:
    kinds = {
        dict(encode_status(published(phase), source="/test").headers)["ce_type"] for phase in Phase
    }
    assert kinds == {f"sluice.run.{phase.lower()}".encode() for phase in Phase}
    assert event_type(Phase.SUCCEEDED) == "sluice.run.succeeded"


def test_terminal_phases() -> None:
    names = {"Succeeded", "Failed", "Error", "Rejected", "Expired", "Deleted"}
    assert {phase for phase in Phase if phase.terminal} == TERMINAL_PHASES == names


def _read(written: OutgoingRecord) -> StatusEvent:
    decoded = decode_status(received(written))
    assert isinstance(decoded, PublishedEvent)
    assert decoded.fingerprint is not None
    return decoded.event


def test_an_event_that_fits_is_not_touched() -> None:
    without_message = status_event(Phase.SUCCEEDED, message="").model_dump_json()
    room = MAX_STATUS_BYTES - len(without_message.encode())
    for size, truncated in ((room, False), (room + 1, True)):
        written = encode_status(published(Phase.SUCCEEDED, message="m" * size), source="/test")
        event = _read(written)
        assert event.truncated is truncated
        assert event.message == "m" * size


def test_outputs_of_steps_go_first() -> None:
    steps = tuple(step(number, outputs={"x": "y" * 20_000}) for number in range(100))
    event = _read(encode_status(published(Phase.SUCCEEDED, steps=steps), source="/test"))
    assert event.truncated
    assert [each.name for each in event.steps] == [each.name for each in steps]
    assert not any(each.outputs for each in event.steps)
    assert event.outputs == {"counts": '{"a":2}', "total": "2"}


def test_outputs_that_cannot_fit_are_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand steps can have 32 MiB of outputs."""
    sizes: list[int] = []
    dump = StatusEvent.model_dump_json

    def noting(event: StatusEvent) -> str:
        text = dump(event)
        sizes.append(len(text))
        return text

    monkeypatch.setattr(StatusEvent, "model_dump_json", noting)
    steps = tuple(step(number, outputs={"x": "y" * 200_000}) for number in range(100))
    event = _read(encode_status(published(Phase.SUCCEEDED, steps=steps), source="/test"))
    assert (event.truncated, len(event.steps)) == (True, 100)
    assert max(sizes) <= MAX_STATUS_BYTES


def test_logs_of_steps_stay_without_their_outputs_and_go_next() -> None:
    uri = "s3://artifacts/" + "k" * 1_000
    outputs = {"x": "y" * 2_000}
    for count, logs in ((1000, {"main": uri}), (2000, {})):
        steps = tuple(step(number, outputs=outputs, logs={"main": uri}) for number in range(count))
        event = _read(encode_status(published(Phase.FAILED, steps=steps), source="/test"))
        assert (event.truncated, len(event.steps)) == (True, count)
        assert all((each.outputs, each.logs) == ({}, logs) for each in event.steps)


def test_steps_go_next_and_the_outcome_stays() -> None:
    steps = tuple(step(number, message="m" * 20_000) for number in range(100))
    outputs = {"counts": "c" * 1_500_000}
    written = encode_status(
        published(Phase.FAILED, steps=steps, outputs=outputs, message="why"), source="/test"
    )
    assert written.value is not None
    assert len(written.value) <= MAX_STATUS_BYTES
    event = _read(written)
    assert (event.truncated, event.steps) == (True, ())
    assert (event.phase, event.terminal, event.message) == (Phase.FAILED, True, "why")
    assert event.outputs == outputs


def test_the_problem_of_a_run_always_stays() -> None:
    detail = "d" * 2000
    stopped = problem(ProblemType.UNAVAILABLE, detail, cause=ProblemCause.IMAGE_UNAVAILABLE)
    large = status_event(
        Phase.ERROR,
        steps=tuple(step(number, message="m" * 20_000) for number in range(100)),
        outputs={"counts": "c" * 3_000_000},
        message="m" * 9999,
        problem=stopped,
    )
    one = PublishedEvent(event=large, fingerprint="f" * 200_000, traceparent=TRACEPARENT)
    read = _read(encode_status(one, source="/test"))
    assert (read.truncated, read.outputs, read.message) == (True, {}, "m" * 1024)
    assert read.problem == stopped


def test_an_outcome_with_a_problem_of_a_newer_version_is_read() -> None:
    event = status_event(Phase.ERROR, problem=problem(ProblemType.UNAVAILABLE, "d"))
    document = event.model_dump(mode="json")
    document["problem"] |= {"type": "urn:sluice:problem:of-tomorrow", "cause": "new", "more": 1}
    record = received(encode_status(published(Phase.ERROR), source="/test"))
    read = decode_status(replace(record, value=json.dumps(document).encode()))
    assert isinstance(read, PublishedEvent)
    assert read.event.problem is not None
    assert (read.event.problem.type, read.event.problem.cause) == (ProblemType.INTERNAL, "new")


def test_too_large_headers_take_room_from_the_outputs() -> None:
    """The fingerprint is an annotation of the Workflow, and anyone may have written it."""
    event = status_event(Phase.FAILED, outputs={"counts": "c" * 1_500_000}, progress="1" * 2000)
    one = PublishedEvent(event=event, fingerprint="f" * 200_000, traceparent=TRACEPARENT)
    written = encode_status(one, source="/test")
    assert written.size <= MAX_STATUS_RECORD_BYTES
    read = _read(written)
    assert (read.truncated, read.outputs, read.progress) == (True, {}, "1" * 1024)


_VALID = status_event(Phase.RUNNING).model_dump(mode="json")


def _foreign(value: bytes | None, *, kind: bytes | None = b"sluice.run.running") -> str:
    record = IncomingRecord(
        position=Position("sluice.status", 2, 7),
        timestamp_ms=0,
        key=None,
        value=value,
        headers=() if kind is None else (("ce_type", kind),),
    )
    with pytest.raises(ForeignRecordError) as caught:
        decode_status(record)
    return str(caught.value)


@pytest.mark.parametrize("kind", [None, b"", b"com.example.order", b"sluice.runs", b"\xff"])
def test_a_record_that_is_not_ours_by_its_header(kind: bytes | None) -> None:
    message = _foreign(json.dumps(_VALID).encode(), kind=kind)
    assert message == "sluice.status/2@7: not a record of Sluice."


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps(_VALID | {"phase": "Done"}).encode(),
        json.dumps(_VALID | {"attempt": 0}).encode(),
        json.dumps(_VALID | {"sequence": -1}).encode(),
        json.dumps(_VALID | {"observed_at": "2026-12-01T00:00:00"}).encode(),
        json.dumps(_VALID | {"run_id": "a/b"}).encode(),
    ],
)
def test_a_record_that_breaks_the_contract(value: bytes | None) -> None:
    message = _foreign(value)
    assert message == "sluice.status/2@7: 1 fields break the contract of sluice.run.running."
    assert "of sluice.request.refused" in _foreign(value, kind=b"sluice.request.refused")


@given(st.none() | st.binary(), st.sampled_from([b"sluice.run.x", b"sluice.request.refused"]))
def test_arbitrary_bytes_are_refused(value: bytes | None, kind: bytes) -> None:
    assert _foreign(value, kind=kind)


def test_an_event_id_is_the_same_for_every_copy() -> None:
    assert event_id("a", "b") == event_id("a", "b")
    assert (
        len({event_id("a", "b"), event_id("ab"), event_id("b", "a"), event_id("a", "b", "")}) == 4
    )
    assert len(event_id("a")) == 32


def test_messages_are_frozen_and_closed() -> None:
    changes: dict[str, Any] = {"anything": 1}
    for model in (status_event(Phase.RUNNING), refusal(), step(0)):
        with pytest.raises(ValueError, match="frozen"):
            setattr(model, next(iter(type(model).model_fields)), "x")
        with pytest.raises(ValueError, match="Extra inputs"):
            type(model).model_validate(model.model_dump() | changes)
    assert isinstance(refusal(), RefusalNotice)


@pytest.mark.parametrize(
    "written",
    [
        encode_status(published(Phase.RUNNING), source="/t"),
        encode_notice(refusal(), source="/t", traceparent=None),
    ],
)
def test_fields_of_a_newer_version_are_ignored(written: OutgoingRecord) -> None:
    document = json.loads(written.value or b"")
    record = received(written)
    newer = json.dumps({**document, "mood": "good"}).encode()
    changed = IncomingRecord(
        position=record.position,
        timestamp_ms=record.timestamp_ms,
        key=record.key,
        value=newer,
        headers=record.headers,
    )
    assert decode_status(changed) == decode_status(record)
