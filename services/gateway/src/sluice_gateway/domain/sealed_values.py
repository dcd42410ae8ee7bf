"""Values that a client keeps for us and can neither read nor change: AES-256-GCM."""

import base64
import json
import re
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sluice_gateway.domain.key_ring import KeyRing, Purpose

__all__ = ["NONCE_BYTES", "SealError", "opened", "sealed"]

NONCE_BYTES: Final = 12

_SEALED: Final = re.compile(r"(?P<key>[a-z0-9-]{1,32})\.(?P<rest>[A-Za-z0-9_-]{1,8192})")


class SealError(Exception):
    """This is not a value that we have sealed for this purpose, with a key that is in the ring."""


def sealed(value: dict[str, Any], *, purpose: Purpose, ring: KeyRing, nonce: bytes) -> str:
    """Return `<key id>.<base64url>`. The nonce has NONCE_BYTES random bytes, each time others."""
    key = ring.first
    text = json.dumps(value, separators=(",", ":")).encode()
    box = AESGCM(key.derived(purpose)).encrypt(nonce, text, key.id.encode())
    return f"{key.id}.{base64.urlsafe_b64encode(nonce + box).rstrip(b'=').decode()}"


def opened(text: str, *, purpose: Purpose, ring: KeyRing) -> dict[str, Any]:
    """Return the value.

    Raises:
        SealError: there is none.
    """
    parts = _SEALED.fullmatch(text)
    key = ring.find(parts["key"]) if parts is not None else None
    if parts is None or key is None:
        raise SealError
    try:
        box = base64.urlsafe_b64decode(parts["rest"] + "=" * (-len(parts["rest"]) % 4))
        found = AESGCM(key.derived(purpose)).decrypt(
            box[:NONCE_BYTES], box[NONCE_BYTES:], key.id.encode()
        )
    except (InvalidTag, ValueError) as e:
        raise SealError from e
    value: dict[str, Any] = json.loads(found)
    return value
