"""JSON of any depth is parsed, and only its depths are missing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_runtime.kubernetes.shallow_json import MAX_LEVELS, parse_shallow

DEEP = 2_000
_values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(opening: bytes, closing: bytes, levels: int, within: bytes = b"") -> bytes:
    return opening * levels + within + closing * levels


@settings(max_examples=30)
@given(_values, st.booleans())
def test_values_beside_depths_are_parsed(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    for deep in (nested(b"[", b"]", DEEP), nested(b'{"a":', b"}", DEEP, b'"]"')):
        first, found, last = parse_shallow(b"[" + text + b"," + deep + b"," + text + b"]")
        assert first == last == value
        levels = 1
        while found is not None:
            (found,) = found.values() if isinstance(found, dict) else found
            levels += 1
        assert levels == MAX_LEVELS


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[" * DEEP,
        nested(b"[", b"]", DEEP) + b"]",
        nested(b"[", b"]", DEEP)[:-MAX_LEVELS],
        b"[" + nested(b"[", b"]", DEEP) + b"," + b"[" * DEEP,
        b'{"a": "' + nested(b"[", b"]", DEEP),
        b'["\\"' + nested(b"[", b"]", DEEP) + b"]",
    ],
    ids=[
        "empty",
        "ends at its deepest",
        "one bracket too many",
        "ends above its depths",
        "ends in its second depths",
        "string without an end",
        "escaped quote",
    ],
)
def test_invalid_json_is_an_error(text: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        parse_shallow(text)
