import base64
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sluice_workflows.parameters import (
    Parameters,
    PlainText,
    Text,
    encode,
    encoded_length,
    kind_of,
    wire_names,
)

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


def accepts(annotation: Any, value: object) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


class OneText(Parameters):
    text: Annotated[str, Text(max_bytes=100_000)]


@settings(deadline=None)
@given(UNICODE)
def test_encoded_text_has_nothing_for_argo_to_evaluate(text: str) -> None:
    field = wire_names(OneText)["text"]

    argument = encode(kind_of(field), OneText(text=text).text)

    assert base64.urlsafe_b64decode(argument).decode() == text
    assert not set(argument) & set("{}$\"'\\\n ")
    assert len(argument) <= encoded_length(field)


@pytest.mark.parametrize(
    ("text", "fits"),
    [("", True), ("abcd", True), ("abcde", False), ("éé", True), ("ééé", False), ("😀", True)],
)
def test_text_is_measured_in_utf8_bytes(text: str, fits: bool) -> None:
    assert accepts(Annotated[str, Text(max_bytes=4)], text) is fits


def test_an_error_does_not_repeat_the_text() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[str, Text(max_bytes=4)]).validate_python("secret")

    assert refused.value.errors(include_input=False)[0]["msg"] == (
        "has 6 bytes as UTF-8; 4 are allowed"
    )


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="lone surrogate"):
        TypeAdapter(Annotated[str, Text(max_bytes=99)]).validate_python(text)


@pytest.mark.parametrize(
    "value",
    [
        "{{workflow.name}}",
        "{{=1+1}}",
        "a{",
        "{",
        "line\nbreak",
        "nul\0",
        "$(HOME)",
        "a$$b",
        "12345678901",
    ],
)
def test_plain_text_refuses_expressions(value: str) -> None:
    assert not accepts(Annotated[str, PlainText(max_bytes=10)], value)


@pytest.mark.parametrize("value", ["", "a b", '{"a": 1}', "}}", "$HOME", "naïve"])
def test_plain_text_accepts_other_text(value: str) -> None:
    assert accepts(Annotated[str, PlainText(max_bytes=10)], value)


LINES = Annotated[str, PlainText(max_bytes=20, multiline=True)]


@pytest.mark.parametrize("value", ["a\nb", "\n", "\ta\n\tb\n", "{\n{x}", "$\n(x)", ""])
def test_several_lines_are_accepted_where_declared(value: str) -> None:
    assert accepts(LINES, value)
    assert not accepts(Annotated[str, PlainText(max_bytes=20)], value) or not value


@pytest.mark.parametrize(
    "value",
    ["a\n{{x}}", "a\n{", "\n$(x)", "\n$$", "a\r\nb", "\0", "\v", "\f", "\x1b[1m", "\x7f", "\x85"],
)
def test_lines_have_nothing_that_would_be_evaluated(value: str) -> None:
    assert not accepts(LINES, value)


def test_the_error_says_what_lines_may_have() -> None:
    with pytest.raises(ValidationError, match=r"except newlines \(\\n\) and tabs"):
        TypeAdapter(LINES).validate_python("a\rb")


@pytest.mark.parametrize("multiline", [False, True])
@pytest.mark.parametrize(
    ("text", "fits"),
    # Go's strconv.Quote writes the first three as \U…, which JSON does not have.
    [("\U000e0067", False), ("\U000f0000", False), ("\U0001bca0", False)]
    + [(text, True) for text in ("😀", "\U00020000", "\u200b", "\ue000", "\u2028")],
)
def test_plain_text_has_only_what_argo_can_insert_into_json(
    text: str, fits: bool, multiline: bool
) -> None:
    assert accepts(Annotated[str, PlainText(multiline=multiline)], text) is fits


@settings(deadline=None)
@given(st.text(st.sampled_from("ab {}$()\n\t\r\x00\x85é😀"), max_size=12), st.booleans())
def test_schema_and_check_of_plain_text_agree(text: str, multiline: bool) -> None:
    annotation = Annotated[str, PlainText(max_bytes=99, multiline=multiline)]
    schema = TypeAdapter(annotation).json_schema()

    # In Python, and not in ECMA-262, `$` also matches before a newline at the end.
    assume(not text.endswith("{\n"))

    valid = jsonschema.Draft202012Validator(schema).is_valid(text)

    assert valid is accepts(annotation, text)


def test_a_pattern_stays_beside_the_check_of_lines() -> None:
    pattern = Annotated[str, PlainText(pattern="a.*b", multiline=True)]
    schema = TypeAdapter(pattern).json_schema()

    assert schema["pattern"] == "^(?:a.*b)$"
    assert accepts(pattern, "a\tb")
    assert not accepts(pattern, "a\nb")
    assert accepts(Annotated[str, PlainText(pattern="(?s)a.*b", multiline=True)], "a\nb")
    assert not accepts(Annotated[str, PlainText(pattern="ab", multiline=True)], "ab\n")


def test_a_pattern_must_match_the_whole_value() -> None:
    pattern = Annotated[str, PlainText(pattern="a|bc")]

    assert accepts(pattern, "bc")
    assert not accepts(pattern, "abc")
    assert not accepts(pattern, "a\n")
    assert not accepts(pattern, 3)
