"""Dead letters: as received, with the reason, and never too large for their topic."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.problems import FieldError, Problem, ProblemType, problem
from sluice_contracts.records import Headers, IncomingRecord, Position, header
from sluice_contracts.request_codec import InvalidRecordError, decode_request
from sluice_contracts.topics import MAX_REQUEST_BYTES, TopicNames, topic_table

from .messages import KEY

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
