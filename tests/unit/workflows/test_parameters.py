import base64
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sluice_workflows.parameters import (
    Parameters,
    PlainText,
    Text,
    encode,
    encoded_length,
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

    argument = encode(field, OneText(text=text).text)

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
    ["{{workflow.name}}", "{{=1+1}}", "a{", "{", "line\nbreak", "nul\0", "$(HOME)", "12345678901"],
)
def test_plain_text_refuses_expressions(value: str) -> None:
    assert not accepts(Annotated[str, PlainText(max_bytes=10)], value)


@pytest.mark.parametrize("value", ["", "a b", '{"a": 1}', "}}", "$HOME", "naïve"])
def test_plain_text_accepts_other_text(value: str) -> None:
    assert accepts(Annotated[str, PlainText(max_bytes=10)], value)


def test_a_pattern_must_match_the_whole_value() -> None:
    pattern = Annotated[str, PlainText(pattern="a|bc")]

    assert accepts(pattern, "bc")
    assert not accepts(pattern, "abc")
    assert not accepts(pattern, "a\n")
    assert not accepts(pattern, 3)
