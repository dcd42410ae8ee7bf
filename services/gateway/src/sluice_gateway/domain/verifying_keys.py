"""The public keys of an issuer of tokens, from its JWK Set (RFC 7517)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jwt import PyJWK
from jwt.exceptions import PyJWTError

__all__ = ["ALGORITHMS", "KeySet", "KeySetError", "key_set"]

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""What may be allowed: signatures by a private key. A reader of a token cannot sign one."""


class KeySetError(Exception):
    """This is not a JWK Set with a key that can be used; the message says why."""


@dataclass(frozen=True)
class KeySet:
    """Keys by key id and algorithm: a key verifies the algorithms that it was found for."""

    keys: Mapping[tuple[str, str], PyJWK] = field(default_factory=dict, repr=False)

    def find(self, key_id: str, algorithm: str) -> PyJWK | None:
        """Return the key of this id for this algorithm."""
        return self.keys.get((key_id, algorithm))

    def has_all_of(self, other: "KeySet") -> bool:
        """Return whether every key of the other set is here unchanged."""
        return all(
            name in self.keys and _public(self.keys[name]) == _public(key)
            for name, key in other.keys.items()
        )


def key_set(document: bytes, *, algorithms: tuple[str, ...]) -> KeySet:
    """Read a JWK Set and keep what can verify one of the algorithms.

    Left out are keys without an id, keys for encryption, symmetric keys, and any key that is not
    understood: an issuer may publish others for other readers (RFC 7517 section 5).

    Raises:
        KeySetError: nothing is left, or the document is not a JWK Set.
    """
    try:
        read = json.loads(document)
    except (ValueError, RecursionError) as e:
        raise KeySetError("The JWK Set is not valid JSON.") from e
    listed = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(listed, list):
        raise KeySetError("The JWK Set has no list of keys.")
    found: dict[tuple[str, str], PyJWK] = {}
    for each in listed:
        if not _verifies(each):
            continue
        for algorithm in algorithms:
            if each.get("alg", algorithm) == algorithm and (key := _key(each, algorithm)):
                found.setdefault((each["kid"], algorithm), key)
    if not found:
        raise KeySetError(f"The JWK Set has no key with an id for {' or '.join(algorithms)}.")
    return KeySet(found)


def _verifies(jwk: object) -> bool:
    return (
        isinstance(jwk, dict)
        and isinstance(jwk.get("kid"), str)
        and jwk.get("kty") != "oct"
        and jwk.get("use", "sig") == "sig"
    )


def _key(jwk: dict[str, Any], algorithm: str) -> PyJWK | None:
    try:
        key = PyJWK(jwk, algorithm)
        # Compares the curve with the algorithm's.
        key.Algorithm.prepare_key(key.key)
    except (PyJWTError, TypeError, ValueError):
        return None
    return key


def _public(key: PyJWK) -> object:
    return key.key
