"""Reading YAML that people write."""

from typing import Annotated

import pytest
from pydantic import Field

from sluice_runtime.strict_yaml import FileError, StrictModel, read_yaml


class Item(StrictModel):
    """An item."""

    name: str
    count: Annotated[int, Field(ge=1)] = 1


class Document(StrictModel):
    """A document."""

    items: list[Item]


def test_a_document_is_read() -> None:
    read = read_yaml(b"items: [{name: a}, {name: b, count: 2}]", Document, source="f")
    assert read == Document(items=[Item(name="a"), Item(name="b", count=2)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "f: top level: Input should be a valid dictionary or instance of Document."),
        (b"items: [{}]", "f: items[0].name: is missing."),
        (
            b"items: [{name: a, nmae: b}]",
            "f: items[0].nmae: is not a known field; check its spelling.",
        ),
        (b"items: [{name: 1}]", "f: items[0].name: Input should be a valid string."),
        (
            b"items: [{name: a, count: 0}]",
            "f: items[0].count: Input should be greater than or equal to 1.",
        ),
        (b"items: [{name: 2026-13-01}]", "f: this is not valid YAML: a value is unreadable."),
        (b"items: []\nitems: []", "f: line 2: this is not valid YAML: a key is given twice."),
        (
            b"items:\n  - name: x: y",
            "f: line 2: this is not valid YAML: mapping values are not allowed here.",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(FileError) as raised:
        read_yaml(content, Document, source="f")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "content",
    [
        b"items: [{name: s3cret: y}]",
        b"items: [{name: a, count: s3cret}]",
        b"items: s3cret",
        b"\xff",
    ],
)
def test_a_message_repeats_no_value(content: bytes) -> None:
    with pytest.raises(FileError) as raised:
        read_yaml(content, Document, source="f")
    assert "s3cret" not in str(raised.value)
    assert raised.value.__suppress_context__
