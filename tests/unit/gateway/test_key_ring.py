"""The gateway's own secrets, and values that only the gateway can read."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.adapters.oidc.key_ring_file import read_key_ring
from sluice_gateway.domain.key_ring import KeyRing, Purpose, RingKey
from sluice_gateway.domain.sealed_values import SealError, opened, sealed
from sluice_runtime.strict_yaml import FileError

OLD = RingKey(id="old", secret=b"o" * 32)
NEW = RingKey(id="new", secret=b"n" * 32)
RING = KeyRing((NEW, OLD))
SECRET = base64.b64encode(b"s" * 32).decode()
NONCE = b"0" * 12


def test_a_file_has_its_keys_in_order() -> None:
    ring = read_key_ring(
        f"keys: [{{id: 2026-11, secret: {SECRET}}}, {{id: a, secret: {SECRET}}}]".encode(),
        source="ring.yaml",
    )
    assert [each.id for each in ring.keys] == ["2026-11", "a"]
    assert ring.first.secret == b"s" * 32


@pytest.mark.parametrize(
    "text",
    [
        "keys: []",
        "keys: [{id: A, secret: %s}]",
        "keys: [{id: a_b, secret: %s}]",
        "keys: [{id: a, secret: %s}, {id: a, secret: %s}]",
        "keys: [{id: a, secret: c2hvcnQ=}]",
        "keys: [{id: a, secret: '%s!'}]",
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(FileError) as raised:
        read_key_ring(text.replace("%s", SECRET).encode(), source="ring.yaml")
    assert "ring.yaml" in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "c2hvcnQ" not in str(raised.value)


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {OLD.derived(purpose) for purpose in Purpose}
    assert len(keys) == len(Purpose)
    assert OLD.secret not in keys
    assert "oooo" not in repr(RING)


def test_what_is_sealed_is_opened_by_any_key_of_the_ring() -> None:
    text = sealed({"a": "ä"}, purpose=Purpose.SESSION, ring=KeyRing((OLD,)), nonce=NONCE)
    assert opened(text, purpose=Purpose.SESSION, ring=RING) == {"a": "ä"}
    assert "ä" not in text


def test_what_was_sealed_by_a_key_that_has_gone_is_refused() -> None:
    text = sealed({}, purpose=Purpose.SESSION, ring=KeyRing((OLD,)), nonce=NONCE)
    with pytest.raises(SealError):
        opened(text, purpose=Purpose.SESSION, ring=KeyRing((NEW,)))


def test_what_was_sealed_for_another_purpose_is_refused() -> None:
    text = sealed({}, purpose=Purpose.SIGN_IN, ring=RING, nonce=NONCE)
    with pytest.raises(SealError):
        opened(text, purpose=Purpose.SESSION, ring=RING)


def test_a_key_under_the_id_of_another_is_refused() -> None:
    ring = KeyRing((RingKey(id="a", secret=b"o" * 32), RingKey(id="b", secret=b"o" * 32)))
    text = sealed({}, purpose=Purpose.SESSION, ring=ring, nonce=NONCE)
    with pytest.raises(SealError):
        opened("b" + text[1:], purpose=Purpose.SESSION, ring=ring)


@given(st.data())
def test_no_changed_character_is_taken(data: st.DataObject) -> None:
    text = sealed({"id": "ada"}, purpose=Purpose.SESSION, ring=RING, nonce=NONCE)
    # The last character has bits that mean nothing.
    place = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.characters().filter(lambda each: each != text[place]))
    with pytest.raises(SealError):
        opened(text[:place] + other + text[place + 1 :], purpose=Purpose.SESSION, ring=RING)


@given(st.text())
def test_nothing_else_is_opened(text: str) -> None:
    for each in (text, f"new.{text}"):
        with pytest.raises(SealError):
            opened(each, purpose=Purpose.SESSION, ring=RING)
