"""The values of a document are counted without parsing it, and never too low."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sluice_contracts.json_bounds import decoded_bytes, measure

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DOCUMENTS: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)
MANY = 1_000_000
EXACT = -1
"""A limit that every document passes, so that it is not only estimated."""


def _walk(document: JsonValue, level: int = 0) -> list[tuple[JsonValue, int]]:
    found = [(document, level)]
    if isinstance(document, list):
        for item in document:
            found += _walk(item, level + 1)
    elif isinstance(document, dict):
        for name, value in document.items():
            found += [(name, level), *_walk(value, level + 1)]
    return found


def _encoded(document: JsonValue, *, ascii_only: bool, indent: int | None) -> bytes:
    return json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 2]))
def test_every_value_is_counted(document: JsonValue, ascii_only: bool, indent: int | None) -> None:
    data = _encoded(document, ascii_only=ascii_only, indent=indent)
    values = len(_walk(document))
    # An empty container counts for the value that it does not have.
    assert values <= measure(data, most_values=MANY, most_depth=EXACT).values <= 2 * values
    assert values <= measure(data, most_values=MANY, most_depth=MANY).values


@given(DOCUMENTS, st.booleans())
def test_the_depth_is_exact(document: JsonValue, ascii_only: bool) -> None:
    data = _encoded(document, ascii_only=ascii_only, indent=None)
    levels = [level + 1 for value, level in _walk(document) if isinstance(value, list | dict)]
    assert measure(data, most_values=MANY, most_depth=EXACT).depth == max(levels, default=0)


@given(DOCUMENTS, st.booleans())
def test_the_parsed_document_is_no_larger_than_estimated(
    document: JsonValue, ascii_only: bool
) -> None:
    data = _encoded(document, ascii_only=ascii_only, indent=None)
    held = sum(sys.getsizeof(value) for value, _ in _walk(json.loads(data)))
    estimated = decoded_bytes(data, most_values=MANY)
    assert estimated is not None
    assert held <= estimated + 64


@pytest.mark.parametrize(
    "data", ["x" * 1000 + "\U0001f600", "x" * 1000 + "\u20ac", "x" * 1000 + "\xe9"]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_one_wide_character_widens_its_whole_string(data: str, ascii_only: bool) -> None:
    estimated = decoded_bytes(_encoded(data, ascii_only=ascii_only, indent=None), most_values=MANY)
    assert estimated is not None
    assert sys.getsizeof(data) <= estimated


@given(DOCUMENTS, st.booleans(), st.integers(0, 40), st.integers(0, 6))
def test_an_estimate_decides_as_counting_does(
    document: JsonValue, ascii_only: bool, most_values: int, most_depth: int
) -> None:
    data = _encoded(document, ascii_only=ascii_only, indent=None)
    counted = measure(data, most_values=MANY, most_depth=EXACT)
    estimated = measure(data, most_values=most_values, most_depth=most_depth)
    assert (estimated.values > most_values) == (counted.values > most_values)
    if counted.values <= most_values:
        assert (estimated.depth > most_depth) == (counted.depth > most_depth)
        assert decoded_bytes(data, most_values=most_values) is not None
    else:
        assert decoded_bytes(data, most_values=most_values) is None
