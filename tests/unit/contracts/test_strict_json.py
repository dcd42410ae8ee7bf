"""JSON with exactly one meaning is parsed; all other bytes are refused."""

import json
import math
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from sluice_contracts import strict_json
from sluice_contracts.fingerprints import fingerprint
from sluice_contracts.strict_json import (
    MAX_DEPTH,
    MAX_INTEGER_DIGITS,
    MAX_VALUES,
    AmbiguousJsonError,
    MalformedJsonError,
    OversizedJsonError,
    canonical,
    parse,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
DOCUMENTS: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)
OBJECTS = st.dictionaries(TEXT, DOCUMENTS, max_size=5)


@given(DOCUMENTS)
def test_any_json_round_trips(document: JsonValue) -> None:
    assert parse(canonical(document)) == document
    assert parse(json.dumps(document).encode()) == document
    assert parse(json.dumps(document, indent=3).encode()) == document


@given(st.binary() | st.text('[]{}",:\\u0dD8 1eE+-.tnf', max_size=40).map(str.encode))
@example(b"\\ud800")
def test_any_bytes_are_parsed_like_pythons_json_or_refused(data: bytes) -> None:
    try:
        document = parse(data)
    except MalformedJsonError:
        return
    assert document == json.loads(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Not JSON: Expecting value (line 1, column 1)."),
        (b"{", "Not JSON: Expecting property name enclosed in double quotes (line 1, column 2)."),
        (b'{"a":1}x', "Not JSON: Extra data (line 1, column 8)."),
        (b"{} {}", "Not JSON: Extra data (line 1, column 4)."),
        (b'"\n"', "Not JSON: Invalid control character at (line 1, column 2)."),
        (b"'a'", "Not JSON: Expecting value (line 1, column 1)."),
        (b"[1,]", "Not JSON: Expecting value (line 1, column 4)."),
        (b"\xff", "The value is not UTF-8 (byte 0)."),
        (b'"\xed\xa0\x80"', "The value is not UTF-8 (byte 1)."),
        (b'"\xc0\xaf"', "The value is not UTF-8 (byte 1)."),
        ("{}".encode("utf-16"), "The value is not UTF-8 (byte 0)."),
        (
            b"\xef\xbb\xbf{}",
            "Not JSON: it begins with a byte order mark (line 1, column 1).",
        ),
        (b"NaN", "Not JSON: a number is not finite, or too large."),
        (b"[Infinity]", "Not JSON: a number is not finite, or too large."),
        (b"-Infinity", "Not JSON: a number is not finite, or too large."),
        (b"1e400", "Not JSON: a number is not finite, or too large."),
        (b'{"a":[-1e999]}', "Not JSON: a number is not finite, or too large."),
        (b"1" * (MAX_INTEGER_DIGITS + 1), "Not JSON: a number is not finite, or too large."),
        (b'"\\ud800"', "A string holds a lone surrogate, which UTF-8 cannot encode."),
        (b'{"\\uDFff":1}', "A string holds a lone surrogate, which UTF-8 cannot encode."),
        (
            b'[[{"a":"\\udc00\\ud800"}]]',
            "A string holds a lone surrogate, which UTF-8 cannot encode.",
        ),
    ],
)
def test_malformed_json_is_refused_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(MalformedJsonError) as caught:
        parse(data)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "document"),
    [
        (b"1" * MAX_INTEGER_DIGITS, int("1" * MAX_INTEGER_DIGITS)),
        (b"1e308", 1e308),
        (b"-0.0", -0.0),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\ud800"', "\\ud800"),
        (b' \t\r\n{"a": null} ', {"a": None}),
        (b'{"a":{"a":{"a":1}}}', {"a": {"a": {"a": 1}}}),
    ],
)
def test_valid_json_is_parsed(data: bytes, document: JsonValue) -> None:
    assert parse(data) == document


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_is_counted_in_levels(opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")

    def nested(depth: int) -> bytes:
        times = depth // levels
        return (opening * times + "1" + closing * times).encode()

    parse(nested(MAX_DEPTH))
    with pytest.raises(MalformedJsonError, match="Nested deeper than 32 levels"):
        parse(nested(MAX_DEPTH + levels))


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 200_000, b"]" * 99 + b"[" * 99_999])
def test_endless_brackets_do_not_exhaust_the_stack(data: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        parse(data)


@given(st.text('[]{}"\\', max_size=200))
def test_brackets_in_strings_do_not_count_as_levels(text: str) -> None:
    brackets = "[" * MAX_DEPTH + text
    assert parse(json.dumps({brackets: brackets}).encode()) == {brackets: brackets}


def test_many_shallow_objects_are_not_deep() -> None:
    assert parse(b"[" + b",".join([b"{}"] * 1000) + b"]") == [{}] * 1000


def _list_of(item: bytes, times: int) -> bytes:
    return b"[" + b",".join([item] * times) + b"]"


WORST = {
    "lists": _list_of(b"[]", 530_000),
    "objects": _list_of(b"{}", 530_000),
    "integers": _list_of(b"1", 795_000),
    "texts": _list_of(b'""', 530_000),
    "names": b"{" + b",".join(b'"%d":0' % number for number in range(150_000)) + b"}",
    "lists behind escapes": b'["' + b'\\\\\\"' * 100_000 + b'",' + _list_of(b"[]", 300_000) + b"]",
    "one more than allowed": _list_of(b"0", MAX_VALUES),
}


@pytest.mark.parametrize("data", WORST.values(), ids=WORST)
def test_too_many_values_are_refused_before_anything_is_parsed(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parser(*_: object, **__: object) -> None:
        pytest.fail("the document was parsed")

    monkeypatch.setattr(json, "loads", parser)
    tracemalloc.start()
    try:
        with pytest.raises(OversizedJsonError, match="more than 20000 values and names"):
            parse(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Copies of the document without its escapes, and as text.
    assert peak < 4 * len(data) + 1_000_000


def test_the_maximum_number_of_values_is_accepted() -> None:
    assert len(parse(_list_of(b"0", MAX_VALUES - 1))) == MAX_VALUES - 1  # type: ignore[arg-type]
    names = b",".join(b'"%d":0' % number for number in range(MAX_VALUES // 2 - 1))
    assert len(parse(b"{" + names + b"}")) == MAX_VALUES // 2 - 1  # type: ignore[arg-type]


def test_separators_in_strings_do_not_count_as_values() -> None:
    text = ',:[{"\\' * 50_000
    assert parse(json.dumps({"text": text}).encode()) == {"text": text}


@pytest.mark.parametrize(
    ("data", "name", "salvaged"),
    [
        (b'{"id":"a","id":"b","x":1}', "id", {"id": None, "x": 1}),
        (b'{"id":"a","id":"a"}', "id", {"id": None}),
        (b'{"id":"a","i\\u0064":"b"}', "id", {"id": None}),
        (b'[{"p":{"q":1,"q":2}}]', "q", [{"p": {"q": None}}]),
        (b'{"a":1,"b":2,"b":3,"a":4}', "a", {"a": None, "b": None}),
        (b'{"":1,"":2}', "", {"": None}),
    ],
)
def test_duplicate_members_are_null_in_the_salvaged_document(
    data: bytes, name: str, salvaged: JsonValue
) -> None:
    with pytest.raises(AmbiguousJsonError) as caught:
        parse(data)
    assert str(caught.value) == f"An object names {name!r} twice."
    assert caught.value.salvaged == salvaged


def test_a_long_name_is_shortened_in_the_message() -> None:
    name = b"x" * 10_000
    with pytest.raises(AmbiguousJsonError) as caught:
        parse(b'{"%s":1,"%s":2}' % (name, name))
    assert len(str(caught.value)) < 100


def test_a_duplicate_is_found_in_linear_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Comparing 100,000 names with each other would exceed the suite's timeout."""
    monkeypatch.setattr(strict_json, "MAX_VALUES", 1_000_000)
    names = b",".join(b'"%d":0' % number for number in range(100_000))
    with pytest.raises(AmbiguousJsonError, match="'7'"):
        parse(b"{" + names + b',"7":1}')


@given(OBJECTS, st.randoms(use_true_random=False))
def test_canonical_does_not_depend_on_the_order_of_names(
    document: dict[str, JsonValue], random: object
) -> None:
    names = list(document)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert canonical({name: document[name] for name in names}) == canonical(document)


@given(DOCUMENTS, DOCUMENTS)
def test_canonical_differs_for_different_documents(one: JsonValue, other: JsonValue) -> None:
    if canonical(one) == canonical(other):
        assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_canonical_is_compact_sorted_utf_8() -> None:
    assert canonical({"b": [1, 2.5, True], "a": "é\n"}) == '{"a":"é\\n","b":[1,2.5,true]}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        canonical(math.nan)


@given(st.text(max_size=5), OBJECTS, st.text(max_size=5), OBJECTS)
def test_fingerprints_differ_with_the_content(
    workflow: str,
    parameters: dict[str, JsonValue],
    other_workflow: str,
    other: dict[str, JsonValue],
) -> None:
    one, two = fingerprint(workflow, parameters), fingerprint(other_workflow, other)
    same = canonical([workflow, parameters]) == canonical([other_workflow, other])
    assert (one == two) is same


def test_the_fingerprint_does_not_change_between_versions() -> None:
    # It is kept on Workflows and in ledgers: a change would make every repeat another run.
    assert fingerprint("hello", {"name": "Ada", "n": 1}) == (
        "326f4ed2b2633ac7863b0b581dd2c290aa67d686b19a47aa6c01113050484e45"
    )
    assert fingerprint("hello", {"n": 1, "name": "Ada"}) == fingerprint(
        "hello", {"name": "Ada", "n": 1}
    )
    assert fingerprint("hello", {"n": 1}) != fingerprint("hello", {"n": "1"})
    assert fingerprint("hello", {"n": 1}) != fingerprint("hello", {"n": True})
