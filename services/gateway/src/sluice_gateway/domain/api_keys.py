"""API keys: how they are written, and whether one is valid; pure.

A key is `slk_<id>_<secret><checksum>` in base62: an id of 12 digits, a secret of 256 bits in 43,
and the CRC-32 of all before it in 6. The checksum separates typing errors from unknown keys, and
keys from other text for those who scan for leaked ones. A double click selects all of a key. Of it
only the SHA-256 is kept: nobody can guess 256 bits, so nothing slower is needed.

https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
"""

import hashlib
import hmac
import re
import string
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

__all__ = [
    "ID",
    "ID_DIGITS",
    "MAX_SECRETS",
    "PATTERN",
    "PREFIX",
    "PRINCIPAL",
    "SECRET_BYTES",
    "ApiKey",
    "ApiKeys",
    "RefusedKeyError",
    "Secret",
    "base62",
    "digest",
    "write_key",
]

PREFIX: Final = "slk_"
PATTERN: Final = r"slk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}"
"""What a key looks like, for scanners of secrets."""

ID: Final = r"^[0-9A-Za-z]{12}$"
PRINCIPAL: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""What the name of a principal that shows API keys looks like."""

ID_DIGITS: Final = 12
SECRET_BYTES: Final = 32
MAX_SECRETS: Final = 2
"""Secrets of one key: the old and the new one while it is rotated."""

_SECRET_DIGITS: Final = 43
_CHECKSUM_DIGITS: Final = 6
_KEY: Final = re.compile(PATTERN)
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


class RefusedKeyError(Exception):
    """The key is not valid; the message is a reason in few words, without any part of it."""


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One secret of a key: the SHA-256 of the whole key with it, and when it is valid.

    It is valid from `not_before` on and before `expires_at`, where they are not None.
    """

    sha256: bytes = field(repr=False)
    not_before: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key by its id, the name of the principal that shows it, and its secrets."""

    id: str
    principal: str
    secrets: tuple[Secret, ...]


# What a key with an unknown id is compared with, so that it takes as long.
_NOBODY: Final = ApiKey(id="", principal="", secrets=(Secret(sha256=bytes(32)),) * MAX_SECRETS)


class ApiKeys:
    """All keys that there are."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {each.id: each for each in keys}

    def verify(self, text: str, *, now: datetime) -> ApiKey:
        """Return the key that the text is.

        Raises:
            RefusedKeyError: it is not valid now.
        """
        if not _KEY.fullmatch(text):
            raise RefusedKeyError("not an API key")
        if text[-_CHECKSUM_DIGITS:] != _checksum(text[:-_CHECKSUM_DIGITS]):
            raise RefusedKeyError("API key with a typing error")
        key_id = text[len(PREFIX) : len(PREFIX) + ID_DIGITS]
        key = self._keys.get(key_id, _NOBODY)
        secret = _matching(key, digest(text))
        if secret is None or key is _NOBODY:
            raise RefusedKeyError("unknown API key")
        if secret.not_before is not None and now < secret.not_before:
            raise RefusedKeyError("API key that is not valid yet")
        if secret.expires_at is not None and now >= secret.expires_at:
            raise RefusedKeyError("expired API key")
        return key


def write_key(key_id: str, secret: bytes) -> str:
    """Return the text of a key; the secret has 32 random bytes."""
    text = f"{PREFIX}{key_id}_{base62(int.from_bytes(secret), digits=_SECRET_DIGITS)}"
    return text + _checksum(text)


def digest(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def base62(number: int, *, digits: int) -> str:
    """Return the number in so many digits."""
    written = ""
    for _ in range(digits):
        number, rest = divmod(number, len(_DIGITS))
        written = _DIGITS[rest] + written
    return written


def _checksum(text: str) -> str:
    return base62(zlib.crc32(text.encode()), digits=_CHECKSUM_DIGITS)


def _matching(key: ApiKey, sha256: bytes) -> Secret | None:
    """Return the secret of the digest, after as many comparisons whatever the key is."""
    padding = _NOBODY.secrets[: MAX_SECRETS - len(key.secrets)]
    found = None
    for secret in (*key.secrets, *padding):
        if hmac.compare_digest(secret.sha256, sha256):
            found = secret
    return found
