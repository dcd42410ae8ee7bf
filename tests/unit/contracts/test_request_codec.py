"""Request records: all valid formats, and invalid records."""

import base64
import json
import re
import traceback
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from sluice_contracts.cloudevents import STRUCTURED
from sluice_contracts.ids import RunKey, derive_run_id, is_run_id
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import MAX_HEADERS, Headers, IncomingRecord, Position
from sluice_contracts.request_codec import (
    InvalidRecordError,
    ReceivedCommand,
    ReceivedRun,
    decode_request,
    encode_request,
)
from sluice_contracts.requests import COMMANDS, Command, RunRequest, read_request
from sluice_contracts.topics import MAX_REQUEST_BYTES
from sluice_contracts.tracing import continue_trace, trace_id

from .test_ids import RUN_IDS, TENANTS
from .test_strict_json import OBJECTS

AT = Position("sluice.requests", 3, 42)
HELLO: dict[str, JsonValue] = {"workflow": "hello", "parameters": {"name": "Ada"}}
BINARY: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_type", b"sluice.request.run"),
    ("ce_source", b"/orders"),
    ("ce_id", b"4711"),
    ("content-type", b"application/json"),
)
STRUCTURED_HEADERS: Headers = (("content-type", f"{STRUCTURED}; charset=UTF-8".encode()),)
EVENT: dict[str, JsonValue] = {
    "specversion": "1.0",
    "type": "sluice.request.run",
    "source": "/orders",
    "id": "4711",
}


def record(
    value: JsonValue | bytes,
    *,
    key: bytes | None = None,
    headers: Headers = (),
    position: Position = AT,
    timestamp_ms: int = 1_790_000_000_000,
) -> IncomingRecord:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return IncomingRecord(
        position=position, timestamp_ms=timestamp_ms, key=key, value=data, headers=headers
    )


def run_of(incoming: IncomingRecord) -> ReceivedRun:
    received = decode_request(incoming)
    assert isinstance(received, ReceivedRun)
    return received


def refused(incoming: IncomingRecord) -> InvalidRecordError:
    with pytest.raises(InvalidRecordError) as caught:
        decode_request(incoming)
    assert caught.value.traceparent is not None
    return caught.value


_JSON = ProblemType.MALFORMED_JSON
_REQUEST = ProblemType.INVALID_REQUEST

# What is valid


def test_a_plain_line_is_a_request() -> None:
    received = run_of(record(b'{"workflow":"hello","parameters":{"name":"Ada"}}'))
    run_id = derive_run_id("sluice.requests", "3", "42", "1790000000000")
    assert received.key == RunKey("default", run_id)
    assert received.request == RunRequest(id=run_id, workflow="hello", parameters={"name": "Ada"})
    assert trace_id(received.traceparent) is not None


@given(st.binary(max_size=8) | st.none(), st.integers(0, 2**40), st.integers(-1, 2**43))
def test_a_redelivery_is_the_same_run(key: bytes | None, offset: int, timestamp: int) -> None:
    position = Position("t", 0, offset)
    one, again, next_one = (
        run_of(record(HELLO, key=key, position=each, timestamp_ms=timestamp)).key
        for each in (position, position, Position("t", 0, offset + 1))
    )
    assert one == again
    named_by_key = key is not None and re.fullmatch(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", key)
    assert (one == next_one) is bool(named_by_key)


def test_a_recreated_topic_does_not_repeat_ids() -> None:
    assert (
        run_of(record(HELLO, timestamp_ms=1)).key.run_id
        != run_of(record(HELLO, timestamp_ms=2)).key.run_id
    )


@pytest.mark.parametrize(
    ("key", "run_id"),
    [
        (b"order-4711", "order-4711"),
        (b"default/order-4711", None),
        (b"", None),
        (b"\xff", None),
        (b"a b", None),
        (b"a" * 129, None),
        (b"a\n", None),
    ],
)
def test_a_key_that_is_an_id_is_the_id(key: bytes, run_id: str | None) -> None:
    derived = run_of(record(HELLO)).key.run_id
    assert run_of(record(HELLO, key=key)).key.run_id == (run_id or derived)


def test_a_stated_id_wins_over_key_and_envelope() -> None:
    stated: JsonValue = HELLO | {"id": "stated", "tenant": "team-1"}
    received = run_of(record(stated, key=b"other", headers=BINARY))
    assert received.key == RunKey("team-1", "stated")
    assert received.request.id == "stated"


def test_null_states_no_id() -> None:
    assert run_of(record(HELLO | {"id": None}, key=b"by-key")).key.run_id == "by-key"


def test_an_event_without_id_and_key_is_named_by_its_envelope() -> None:
    received = run_of(record(HELLO, headers=BINARY))
    elsewhere = run_of(record(HELLO, headers=BINARY, position=Position("t", 9, 9)))
    assert received.key.run_id == elsewhere.key.run_id == derive_run_id("/orders", "4711")
    assert run_of(record(HELLO, headers=BINARY, key=b"by-key")).key.run_id == "by-key"


@pytest.mark.parametrize(
    "carried",
    [
        {"data": HELLO},
        {"data_base64": base64.b64encode(json.dumps(HELLO).encode()).decode()},
    ],
)
def test_a_structured_event(carried: dict[str, JsonValue]) -> None:
    received = run_of(record(EVENT | carried, headers=STRUCTURED_HEADERS))
    assert received.key.run_id == derive_run_id("/orders", "4711")
    assert received.request.parameters == {"name": "Ada"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(command: str) -> None:
    received = decode_request(record({"type": command, "id": "a"}, key=b"other"))
    assert isinstance(received, ReceivedCommand)
    assert received.key == RunKey("default", "a")
    assert received.command.type == command


def test_the_trace_continues() -> None:
    parent = continue_trace(None)
    received = run_of(record(HELLO, headers=(("traceparent", parent.encode()),)))
    assert trace_id(received.traceparent) == trace_id(parent)
    assert received.traceparent != parent


def test_header_names_are_case_insensitive_and_the_last_one_counts() -> None:
    headers: Headers = (
        ("Content-Type", b"text/plain"),
        ("CE_SpecVersion", b"1.0"),
        ("ce_type", b"x"),
        ("ce_source", b"/old"),
        ("ce_id", b"4711"),
        ("CE_SOURCE", b"/orders"),
    )
    assert run_of(record(HELLO, headers=headers)).key.run_id == derive_run_id("/orders", "4711")


REQUESTS = st.builds(
    RunRequest,
    id=RUN_IDS,
    workflow=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=63),
    parameters=OBJECTS,
    tenant=TENANTS,
    expires_at=st.none()
    | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)


@given(REQUESTS, st.binary())
def test_a_written_record_can_be_read(request: RunRequest, old_key: bytes) -> None:
    assert request.id is not None
    written = encode_request(
        request,
        key=RunKey(request.tenant, request.id),
        source="/gateway",
        event_id="e",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        traceparent=continue_trace(None),
    )
    assert written.value is not None
    received = run_of(record(written.value, key=old_key, headers=written.headers))
    assert received.request == request
    assert received.request.fingerprint == request.fingerprint
    assert received.key == RunKey(request.tenant, request.id)
    assert written.key == str(received.key).encode()


@given(st.sampled_from(COMMANDS), RUN_IDS, TENANTS)
def test_a_written_command_can_be_read(command: str, run_id: str, tenant: str) -> None:
    asked = read_request({"type": command, "id": run_id, "tenant": tenant, "reason": "Because"})
    assert isinstance(asked, Command)
    written = encode_request(
        asked,
        key=asked.key,
        source="/gateway",
        event_id="e",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        traceparent=continue_trace(None),
    )
    assert written.value is not None
    received = decode_request(record(written.value, headers=written.headers))
    assert isinstance(received, ReceivedCommand)
    assert (received.command, received.key) == (asked, asked.key)


# What is not


@pytest.mark.parametrize(
    ("value", "kind", "detail", "run"),
    [
        (b"not json", _JSON, "Not JSON", None),
        (b"", _JSON, "Not JSON", None),
        (b"[]", _REQUEST, "not a valid request", None),
        (b"null", _REQUEST, "not a valid request", None),
        (b'{"workflow":1}', _REQUEST, "not a valid request", "k"),
        (b'{"workflow":1,"id":"a"}', _REQUEST, "not a valid request", "a"),
        (b'{"workflow":"w","extra":1,"id":"a"}', _REQUEST, "not a valid request", "a"),
        (b'{"workflow":"w","id":"a/b"}', _REQUEST, "not a valid request", None),
        (b'{"workflow":"w","id":5}', _REQUEST, "not a valid request", None),
        (b'{"workflow":"w","id":"a","tenant":"A"}', _REQUEST, "not a valid request", None),
        (b'{"workflow":"w","id":"a","tenant":1}', _REQUEST, "not a valid request", None),
        (b'{"type":"stop"}', _REQUEST, "not a valid request", None),
        (b'{"type":"halt","id":"a"}', _REQUEST, "not a valid request", None),
        (b'{"type":null,"id":"a"}', _REQUEST, "not a valid request", None),
        (b'{"type":["run"],"id":"a"}', _REQUEST, "not a valid request", None),
        (b'{"workflow":"w","id":"a","id":"b"}', _JSON, "'id' twice", None),
        (b'{"workflow":"w","workflow":"v","id":"a"}', _JSON, "'workflow' twice", "a"),
        (b'{"workflow":"w","parameters":{"x":1,"x":2},"id":"a"}', _JSON, "'x' twice", "a"),
        (b'{"workflow":"w","workflow":"v"}', _JSON, "'workflow' twice", None),
        # Which tenant's run, and whether a run at all, must not be guessed: it would be rejected.
        (b'{"workflow":"w","id":"a","tenant":"x","tenant":"y"}', _JSON, "'tenant' twice", None),
        (b'{"type":"stop","type":"run","id":"a"}', _JSON, "'type' twice", None),
        (b'{"type":"stop","id":"a","x":1,"x":1}', _JSON, "'x' twice", None),
    ],
)
def test_invalid_records_have_a_problem_and_the_runs_key(
    value: bytes, kind: ProblemType, detail: str, run: str | None
) -> None:
    error = refused(record(value, key=b"k"))
    assert error.problem.type is kind
    assert detail in error.problem.detail
    assert error.key == (RunKey("default", run) if run else None)


def test_a_tombstone() -> None:
    empty = IncomingRecord(position=AT, timestamp_ms=0, key=b"a", value=None)
    error = refused(empty)
    assert (error.problem.type, error.key) == (ProblemType.EMPTY_RECORD, None)


def test_a_too_large_record_is_not_parsed() -> None:
    at_most = b'{"workflow":"w"}'.ljust(MAX_REQUEST_BYTES)
    assert run_of(record(at_most)).request.workflow == "w"
    error = refused(record(at_most + b" "))
    assert error.problem.type is ProblemType.TOO_LARGE
    assert error.problem.detail == "The record has 1600001 bytes; 1600000 are allowed."


def test_a_record_of_too_many_values_is_not_parsed_and_has_no_key() -> None:
    error = refused(
        record(b'{"id":"a","workflow":"w","parameters":{"a":[' + b"1," * 30_000 + b"1]}}")
    )
    assert error.problem.type is ProblemType.TOO_LARGE
    assert "more than 20000 values and names" in error.problem.detail
    assert error.key is None


def test_a_record_of_too_many_headers_is_refused() -> None:
    most = tuple(("a", b"") for _ in range(MAX_HEADERS))
    assert run_of(record(HELLO, headers=most)).request.workflow == "hello"
    error = refused(record(HELLO, headers=(*most, ("a", b""))))
    assert error.problem.type is ProblemType.TOO_LARGE
    assert error.problem.detail == "The record has more than 1000 headers."
    assert error.key is None


def test_an_invalid_request_without_id_gets_the_same_id_as_a_valid_one() -> None:
    assert refused(record({"workflow": 1})).key == run_of(record(HELLO)).key
    assert refused(record({"workflow": 1}, headers=BINARY)).key == RunKey(
        "default", derive_run_id("/orders", "4711")
    )


def test_an_invalid_request_keeps_workflow_and_fingerprint() -> None:
    error = refused(record(HELLO | {"id": "a", "extra": 1}))
    assert error.workflow == "hello"
    assert error.fingerprint == run_of(record(HELLO)).request.fingerprint
    nameless = refused(record({"workflow": 1}))
    assert nameless.workflow is None
    assert nameless.fingerprint is not None
    assert nameless.fingerprint != refused(record({"workflow": 2})).fingerprint
    endless = refused(record({"workflow": "w" * 1000}))
    assert endless.workflow == "w" * 63
    assert endless.fingerprint != refused(record({"workflow": "w" * 1001})).fingerprint
    assert refused(record(b"[]")).workflow is None


def test_a_document_with_duplicates_has_its_own_fingerprint() -> None:
    twice = refused(record(b'{"id":"a","workflow":"w","parameters":{"x":1,"x":2}}'))
    contents: list[JsonValue] = [{}, {"x": 1}, {"x": 2}, {"x": None}]
    for parameters in contents:
        single = run_of(record({"workflow": "w", "parameters": parameters}))
        assert twice.fingerprint != single.request.fingerprint


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        (BINARY[:3], "'id' must be a non-empty string"),
        ((*BINARY, ("ce_id", b"")), "'id' must be a non-empty string"),
        ((*BINARY, ("ce_id", b"\xff")), "'id' must be a non-empty string"),
        ((*BINARY, ("ce_source", b"a\0b")), "'source' must be a non-empty string"),
        ((*BINARY, ("ce_type", b"")), "'type' must be a non-empty string"),
        ((*BINARY, ("ce_specversion", b"0.3")), "specversion must be 1.0"),
    ],
)
def test_an_invalid_binary_event_is_refused(headers: Headers, detail: str) -> None:
    error = refused(record(HELLO, headers=headers))
    assert error.problem.type is ProblemType.MALFORMED_EVENT
    assert detail in error.problem.detail


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        ([], "must be a JSON object"),
        (EVENT, "carries no data"),
        (EVENT | {"data_base64": 5}, "carries no data"),
        (EVENT | {"data_base64": "%"}, "data_base64 is not valid base64"),
        (EVENT | {"data_base64": "é"}, "data_base64 is not valid base64"),
        (EVENT | {"data_base64": "e30"}, "data_base64 is not valid base64"),
        (EVENT | {"data": HELLO, "data_base64": "e30="}, "both data and data_base64"),
        (EVENT | {"data": HELLO, "id": 5}, "'id' must be a non-empty string"),
        (EVENT | {"data": HELLO, "source": "a\0b"}, "'source' must be a non-empty string"),
        ({"data": HELLO}, "specversion must be 1.0"),
    ],
)
def test_an_invalid_structured_event_is_refused(event: JsonValue, detail: str) -> None:
    error = refused(record(event, headers=STRUCTURED_HEADERS))
    assert error.problem.type is ProblemType.MALFORMED_EVENT
    assert detail in error.problem.detail


def test_an_event_with_nul_cannot_pass_for_another() -> None:
    """Ids are derived from attributes with NUL between them."""
    split_early = (*BINARY[:2], ("ce_source", b"a"), ("ce_id", b"b\0c"))
    split_late = (*BINARY[:2], ("ce_source", b"a\0b"), ("ce_id", b"c"))
    for headers in (split_early, split_late):
        assert refused(record(HELLO, headers=headers)).key is None


def _structured(members: str) -> IncomingRecord:
    attributes = json.dumps(EVENT)[1:-1]
    return record(f"{{{attributes},{members}}}".encode(), headers=STRUCTURED_HEADERS)


def test_structured_data_with_duplicates_keep_their_run_id() -> None:
    error = refused(_structured('"data":{"id":"a","workflow":"w","workflow":"v"}'))
    assert error.key == RunKey("default", "a")
    assert refused(_structured('"data":{"id":"a","workflow":"w"},"x":1,"x":2')).key == error.key
    assert refused(_structured('"data":{"id":"a"},"data":{"id":"b"}')).key is None


def test_base64_data_are_the_document_and_not_another_event() -> None:
    inner = b'{"id":"a","x":1,"x":2,"data":{"id":"victim","workflow":"w"}}'
    encoded = base64.b64encode(inner).decode()
    assert refused(_structured(f'"data_base64":"{encoded}"')).key == RunKey("default", "a")


# Whatever the bytes

_HEADER_NAMES = st.sampled_from(
    ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "traceparent"]
)
_HEADER_VALUES = st.sampled_from([b"1.0", STRUCTURED.encode(), b"/s", b"application/json"])
HEADERS = st.lists(
    st.tuples(_HEADER_NAMES | st.text(max_size=5), _HEADER_VALUES | st.binary(max_size=20)),
    max_size=8,
).map(tuple)
_FIELDS = st.sampled_from(
    [
        "id",
        "type",
        "workflow",
        "parameters",
        "tenant",
        "expires_at",
        "data",
        "data_base64",
        "specversion",
        "source",
    ]
)
_NEAR_MISSES = st.dictionaries(
    _FIELDS | st.text(max_size=3),
    st.sampled_from(["run", "stop", "1.0", "a", "e30=", "2026-12-01T00:00:00Z"])
    | st.recursive(st.none() | st.integers() | st.text(max_size=4), st.lists, max_leaves=4)
    | st.just(HELLO)
    | OBJECTS,
)
VALUES = st.none() | st.binary() | _NEAR_MISSES.map(lambda each: json.dumps(each).encode())


@given(VALUES, st.none() | st.binary(max_size=8), HEADERS, st.integers())
@example(b'{"data_base64":"\xc3\xa9"}', None, STRUCTURED_HEADERS, 0)
def test_any_record_is_a_request_or_an_invalid_record(
    value: bytes | None, key: bytes | None, headers: Headers, timestamp: int
) -> None:
    incoming = IncomingRecord(
        position=AT, timestamp_ms=timestamp, key=key, value=value, headers=headers
    )
    outcome = _outcome(incoming)
    assert outcome.key is None or is_run_id(outcome.key.run_id)
    if isinstance(outcome, InvalidRecordError):
        assert len(outcome.problem.model_dump_json()) < 40_000
    else:
        assert outcome.key is not None


def _outcome(incoming: IncomingRecord) -> ReceivedRun | ReceivedCommand | InvalidRecordError:
    try:
        return decode_request(incoming)
    except InvalidRecordError as e:
        return e


SECRET = "correct-horse-battery-staple"
SECRETS: st.SearchStrategy[JsonValue] = st.recursive(
    st.just(SECRET) | st.just(SECRET + "/é") | st.just(f"2026-12-01T00:00:00{SECRET}"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("in"), inner, max_size=1),
    max_leaves=3,
)


@given(
    st.dictionaries(
        _FIELDS | st.just("unknown"), SECRETS | st.sampled_from(["run", "stop", "1.0"])
    ),
    st.booleans(),
    HEADERS,
    st.integers(0, 40),
    st.booleans(),
)
def test_a_value_never_shows_in_an_error(
    document: dict[str, JsonValue],
    twice: bool,
    headers: Headers,
    cut: int,
    raw: bool,
) -> None:
    text = json.dumps(document, ensure_ascii=raw)
    if twice and document:
        text = f"{text[:-1]}, {text[1:]}"
    data = text.encode()
    incoming = record(data[: len(data) - cut], headers=(*headers, ("ce_x", SECRET.encode())))
    error = _outcome(incoming)
    assume(isinstance(error, InvalidRecordError))
    assert isinstance(error, InvalidRecordError)
    # With all that led to it, as a log would show it.
    assert SECRET not in "".join(traceback.format_exception(error))
    assert SECRET not in error.problem.model_dump_json()
    assert SECRET not in repr(error)
