"""Dead letters: as received, with the reason, and never too large for their topic."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.dead_letters import (
    DeadLetter,
    InvalidDeadLetterError,
    LetterDecision,
    decode_dead_letter,
    encode_dead_letter,
    encode_decision,
)
from sluice_contracts.problems import FieldError, Problem, ProblemType, problem
from sluice_contracts.records import (
    MAX_HEADERS,
    MAX_READ_HEADERS,
    Headers,
    IncomingRecord,
    OutgoingRecord,
    Position,
    header,
)
from sluice_contracts.request_codec import InvalidRecordError, decode_request
from sluice_contracts.topics import MAX_REQUEST_BYTES, TopicNames, topic_table

from .messages import KEY, MOMENT

_TABLE = topic_table(TopicNames())
_BAD = problem(ProblemType.MALFORMED_JSON, "Not JSON.")


def _record(
    value: bytes | None = b"x", *, key: bytes | None = b"k", headers: Headers = ()
) -> IncomingRecord:
    return IncomingRecord(
        position=Position("t", 1, 2), timestamp_ms=3, key=key, value=value, headers=headers
    )


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.text(), st.binary())).map(tuple),
)
def test_the_record_is_kept_as_received(
    key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    letter = encode_dead_letter(_record(value, key=key, headers=headers), _BAD, key=KEY)
    assert (letter.key, letter.value) == (key, value)
    assert letter.headers[: len(headers)] == headers


def test_the_headers_have_position_and_reason() -> None:
    letter = encode_dead_letter(_record(), _BAD, key=KEY)
    added = {name: value.decode() for name, value in letter.headers}
    assert Problem.model_validate_json(added.pop("sluice_problem")) == _BAD
    assert added == {
        "sluice_reason": "urn:sluice:problem:malformed-json",
        "sluice_topic": "t",
        "sluice_partition": "1",
        "sluice_offset": "2",
        "sluice_timestamp": "3",
        "sluice_run": "default/order-4711",
    }
    nameless = encode_dead_letter(_record(), _BAD, key=None)
    assert header(nameless.headers, "sluice_run") == ""


def test_a_received_header_cannot_pass_for_ours() -> None:
    forged = _record(headers=(("sluice_run", b"default/forged"), ("SLUICE_OFFSET", b"99")))
    letter = encode_dead_letter(forged, _BAD, key=None)
    assert header(letter.headers, "sluice_run") == ""
    assert header(letter.headers, "sluice_offset") == "2"


def test_the_largest_uncompressed_record_is_kept_whole() -> None:
    value = b"v" * (_TABLE.requests.max_message_bytes - 100)
    worst = problem(
        ProblemType.INVALID_REQUEST,
        "d",
        errors=tuple(FieldError(pointer="/" + "\1" * 128, detail="e" * 100) for _ in range(33)),
    )
    letter = encode_dead_letter(_record(value), worst, key=KEY)
    assert letter.value == value
    assert letter.size < _TABLE.dlq.max_message_bytes


def test_an_inflated_record_is_truncated_to_fit() -> None:
    """Brokers measure compressed batches, so that a record may be far larger than the topic's."""
    bomb = _record(b"v" * 30_000_000, headers=(("sender", b"s" * 100),))
    letter = encode_dead_letter(bomb, _BAD, key=KEY)
    assert letter.size < _TABLE.dlq.max_message_bytes
    assert letter.key == b"k"
    assert letter.value == b"v" * MAX_REQUEST_BYTES
    assert int(header(letter.headers, "sluice_truncated") or 0) > 30_000_000
    assert header(letter.headers, "sluice_reason") == _BAD.type


def test_inflated_keys_and_headers_are_dropped_to_fit() -> None:
    for bomb in (
        _record(key=b"k" * 30_000_000),
        _record(headers=(("h", b"v" * 30_000_000),)),
        _record(None, headers=(("", b""),) * 1_000_000),
    ):
        letter = encode_dead_letter(bomb, _BAD, key=None)
        assert letter.size < 10_000
        assert header(letter.headers, "sluice_truncated") is not None


def test_a_request_with_faults_everywhere_makes_a_letter_that_fits() -> None:
    """Its problem is a header; 60,000 unknown fields named one by one would fill 10 MB."""
    document = {f"{'/' * 100}{number}": 1 for number in range(10_000)}
    record = _record(json.dumps(document).encode())
    try:
        decode_request(record)
    except InvalidRecordError as e:
        letter = encode_dead_letter(record, e.problem, key=e.key)
    assert letter.size < len(record.value or b"") + 64 * 1024
    assert header(letter.headers, "sluice_truncated") is None


def _read(written: OutgoingRecord, *, offset: int = 7, at_ms: int = 9) -> IncomingRecord:
    """Return the record as it is read from its topic, with as many headers as a reader keeps."""
    return IncomingRecord(
        position=Position("dlq", 4, offset),
        timestamp_ms=at_ms,
        key=written.key,
        value=written.value,
        headers=written.headers[:MAX_READ_HEADERS],
    )


_NAMES = st.text() | st.sampled_from(["sluice_reason", "sluice_run", "sluice_truncated", "ce_type"])


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(_NAMES, st.binary() | st.just(b"sluice.dead-letter.dropped"))).map(tuple),
)
def test_a_letter_is_read_as_it_was_written_whatever_its_headers_are_called(
    key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    record = _record(value, key=key, headers=headers)
    letter = decode_dead_letter(_read(encode_dead_letter(record, _BAD, key=KEY)))
    assert letter == DeadLetter(
        position=Position("dlq", 4, 7),
        at_ms=9,
        problem=_BAD,
        received=record,
        run=KEY,
        has_claimed_run=False,
        truncated=None,
    )


@pytest.mark.parametrize(("headers", "kept"), [(MAX_HEADERS, MAX_HEADERS), (MAX_HEADERS + 1, 0)])
def test_a_letter_has_no_more_headers_than_are_read(headers: int, kept: int) -> None:
    record = _record(headers=(("a", b""),) * headers)
    letter = decode_dead_letter(_read(encode_dead_letter(record, _BAD, key=None)))
    assert isinstance(letter, DeadLetter)
    assert len(letter.received.headers) == kept
    assert (letter.truncated is None) == (kept == headers)
    assert (letter.run, letter.received.value) == (None, record.value)


def test_what_was_cut_off_is_known() -> None:
    letter = decode_dead_letter(
        _read(encode_dead_letter(_record(b"v" * 9_000_000), _BAD, key=None))
    )
    assert isinstance(letter, DeadLetter)
    assert letter.truncated is not None
    assert letter.truncated > 9_000_000


@pytest.mark.parametrize(
    ("reason", "is_claim"),
    [
        (ProblemType.UNKNOWN_WORKFLOW, False),
        (ProblemType.ID_CONFLICT, False),
        (ProblemType.FOREIGN_TENANT, True),
        (ProblemType.UNSIGNED, True),
    ],
)
def test_the_run_of_a_record_that_is_not_its_tenant_s_is_a_claim(
    reason: ProblemType, is_claim: bool
) -> None:
    written = encode_dead_letter(_record(), problem(reason, "No."), key=KEY)
    letter = decode_dead_letter(_read(written))
    assert isinstance(letter, DeadLetter)
    assert (letter.run, letter.has_claimed_run) == (KEY, is_claim)


def test_the_run_is_a_claim_if_the_reason_is_of_a_later_release() -> None:
    written = encode_dead_letter(_record(), _BAD, key=KEY)
    later = tuple(
        (name, value.replace(b"malformed-json", b"of-a-later-release"))
        for name, value in written.headers
    )
    letter = decode_dead_letter(_read(replace(written, headers=later)))
    assert isinstance(letter, DeadLetter)
    assert (letter.problem.type, letter.has_claimed_run) == (ProblemType.INTERNAL, True)


def _decision(**changes: Any) -> LetterDecision:
    return LetterDecision.model_validate(
        {"letter": "dlq/4@6", "decision": "dropped", "by": "user:ada", "at": MOMENT, **changes}
    )


def test_a_decision_is_read_as_it_was_written() -> None:
    for decision in (
        _decision(),
        _decision(decision="replayed", reason="corrected", run="default/order-1"),
    ):
        written = encode_decision(decision, source="/test")
        assert written.key == b"dlq/4@6"
        assert decode_dead_letter(_read(written)) == (Position("dlq", 4, 6), decision)


def test_a_decision_of_a_later_release_may_say_more() -> None:
    written = encode_decision(_decision(), source="/test")
    more = json.dumps({**json.loads(written.value or b""), "colour": "red"}).encode()
    assert decode_dead_letter(_read(replace(written, value=more))) == (
        Position("dlq", 4, 6),
        _decision(),
    )


@pytest.mark.parametrize(
    "changes",
    [{"letter": letter} for letter in ("dlq/4@7", "dlq/4@8", "dlq/3@6", "other/4@6", "dlq/4", "")]
    + [{"decision": "burnt"}, {"by": None}, {"at": 7}],
)
def test_a_decision_about_anything_but_a_letter_before_it_is_refused(
    changes: dict[str, Any],
) -> None:
    document = _decision().model_dump(mode="json") | changes
    written = encode_decision(_decision(), source="/test")
    record = replace(_read(written), value=json.dumps(document).encode())
    with pytest.raises(InvalidDeadLetterError, match="dlq/4@7"):
        decode_dead_letter(record)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("sluice_reason", b"x"),),
        (("ce_type", b"sluice.run.failed"),),
        tuple(
            (name, b"x" if name == "sluice_offset" else value)
            for name, value in encode_dead_letter(_record(), _BAD, key=None).headers
        ),
    ],
)
def test_another_record_is_refused_without_its_values(headers: Headers) -> None:
    record = replace(_read(OutgoingRecord(key=b"k", value=b"secret")), headers=headers)
    with pytest.raises(InvalidDeadLetterError) as refused:
        decode_dead_letter(record)
    assert "secret" not in str(refused.value)
