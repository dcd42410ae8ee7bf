"""The demo's own count, and its comparison."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.demo.command import is_same_count, parse_outputs
from sluice_local.demo.words import count_words

BOOK = Path(__file__).parents[4] / "examples/texts/alice-in-wonderland.txt"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", {}),
        ("a b A", {"a": 2, "b": 1}),
        ("don't", {"don": 1, "t": 1}),
        ("{{workflow.name}}", {"workflow": 1, "name": 1}),
        ("Straße STRASSE", {"strasse": 2}),
        ("x_y 3½ 😀 東京", {"x": 1, "y": 1, "3½": 1, "東京": 1}),
    ],
)
def test_words_are_runs_of_alphanumerics_casefolded(text: str, words: dict[str, int]) -> None:
    assert count_words(text) == words


@given(st.text())
def test_counting_agrees_with_a_plain_loop(text: str) -> None:
    counts: Counter[str] = Counter()
    word = ""
    for character in text + " ":
        if character.isalnum():
            word += character
        elif word:
            counts[word.casefold()] += 1
            word = ""
    assert count_words(text) == counts


def test_the_book_matches_its_readme() -> None:
    book = BOOK.read_bytes()
    assert f"{len(book):,} bytes" in BOOK.with_name("README.md").read_text("utf-8")
    assert 100_000 <= len(book) <= 250_000
    assert count_words(book.decode("utf-8"))["alice"] == 398


def test_outputs_are_json_text() -> None:
    outputs = {"counts": json.dumps({"a": 2, "b": 1}), "total": "3"}
    assert parse_outputs(outputs) == (Counter(a=2, b=1), 3)


@pytest.mark.parametrize(
    ("counted", "total", "same"),
    [
        ({"a": 2, "b": 1}, 3, True),
        ({"a": 2, "b": 1}, 4, False),
        ({"a": 2, "b": 2}, 3, False),
        ({"a": 2}, 3, False),
        ({}, 3, False),
    ],
)
def test_any_difference_is_detected(counted: dict[str, int], total: int, *, same: bool) -> None:
    assert is_same_count(Counter(counted), total=total, own=Counter(a=2, b=1)) is same
