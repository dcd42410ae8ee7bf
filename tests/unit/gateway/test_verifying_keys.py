"""Which keys of a JWK Set are used, and for what."""

import json
from typing import Any

import pytest

from sluice_gateway.domain.verifying_keys import ALGORITHMS, KeySetError, key_set
from tests.support.fake_issuer import jwk


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def without(key: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name not in names}


def test_a_key_verifies_its_own_algorithm_only() -> None:
    keys = key_set(document(jwk("rsa-1"), jwk("ec-1"), jwk("ed-1")), algorithms=ALGORITHMS)
    assert set(keys.keys) == {("rsa-1", "RS256"), ("ec-1", "ES256"), ("ed-1", "EdDSA")}


def test_a_key_without_an_algorithm_verifies_those_of_its_kind() -> None:
    keys = key_set(
        document(without(jwk("rsa-1"), "alg"), without(jwk("ec-1"), "alg")),
        algorithms=("RS256", "PS256", "ES256", "ES384"),
    )
    assert set(keys.keys) == {("rsa-1", "RS256"), ("rsa-1", "PS256"), ("ec-1", "ES256")}


def test_no_symmetric_algorithm_can_be_allowed() -> None:
    assert not [each for each in ALGORITHMS if each.startswith("HS") or each == "none"]


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"},
        jwk("rsa-1", use="enc"),
        jwk("rsa-1", alg="RS512"),
        jwk("rsa-1", kid=7),
        without(jwk("rsa-1"), "kid"),
        without(jwk("rsa-1"), "n"),
        jwk("rsa-1", n="!"),
        "a text",
        None,
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(key: object) -> None:
    keys = key_set(document(key, jwk("ec-1")), algorithms=("RS256", "ES256"))
    assert set(keys.keys) == {("ec-1", "ES256")}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"\xff", b"[" * 100_000],
)
def test_what_is_not_a_set_of_keys_is_refused(body: bytes) -> None:
    with pytest.raises(KeySetError):
        key_set(body, algorithms=ALGORITHMS)
