"""API keys: how they are written, and what the file of keys has of one; pure.

A key is `slk_<id>_<secret><checksum>` in base62: an id of 12 digits, a secret of 256 bits in 43,
and the CRC-32 of all before it in 6. The checksum separates typing errors from unknown keys, and
keys from other text for those who scan for leaked ones. A double click selects all of a key. Of it
only the SHA-256 is kept: nobody can guess 256 bits, so nothing slower is needed.

https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
"""

import hashlib
import string
import zlib
from datetime import datetime
from typing import Final

__all__ = [
    "ID",
    "ID_DIGITS",
    "MAX_SECRETS",
    "PATTERN",
    "PREFIX",
    "PRINCIPAL",
    "RANDOM_BYTES",
    "SECRET_BYTES",
    "base62",
    "digest",
    "file_entry",
    "has_checksum",
    "new_key",
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
RANDOM_BYTES: Final = SECRET_BYTES + 16
"""What a new key is made of: its secret and its id."""
MAX_SECRETS: Final = 2
"""Secrets of one key: the old and the new one while it is rotated."""

_SECRET_DIGITS: Final = 43
_CHECKSUM_DIGITS: Final = 6
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_key(randomness: bytes, *, key_id: str | None = None) -> str:
    """Return the text of a key, made of RANDOM_BYTES; with `key_id`, another secret of that key.

    An id has 71 bits, so that two are never the same.
    """
    secret, rest = randomness[:SECRET_BYTES], randomness[SECRET_BYTES:]
    return write_key(key_id or base62(int.from_bytes(rest), digits=ID_DIGITS), secret)


def write_key(key_id: str, secret: bytes) -> str:
    """Return the text of a key; the secret has 32 random bytes."""
    text = f"{PREFIX}{key_id}_{base62(int.from_bytes(secret), digits=_SECRET_DIGITS)}"
    return text + _checksum(text)


def has_checksum(text: str) -> bool:
    """Return whether a text in the form of a key has no typing error."""
    return text[-_CHECKSUM_DIGITS:] == _checksum(text[:-_CHECKSUM_DIGITS])


def digest(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def file_entry(key: str, *, principal: str | None, expires_at: datetime | None) -> list[str]:
    """Return the lines of the file of keys for a new key of a principal.

    Without a principal they are those of another secret, which stand behind the first one.
    """
    key_id = key.split("_")[1]
    if principal is None:
        head = [f"  # Another secret of the key {key_id}."]
    else:
        head = [f'- id: "{key_id}"', f'  principal: "{principal}"', "  secrets:"]
    lines = [*head, f'  - sha256: "{digest(key).hex()}"']
    if expires_at is not None:
        lines.append(f"    expires_at: {expires_at:%Y-%m-%dT%H:%M:%SZ}")
    return lines


def base62(number: int, *, digits: int) -> str:
    """Return the number in so many digits."""
    written = ""
    for _ in range(digits):
        number, rest = divmod(number, len(_DIGITS))
        written = _DIGITS[rest] + written
    return written


def _checksum(text: str) -> str:
    return base62(zlib.crc32(text.encode()), digits=_CHECKSUM_DIGITS)
