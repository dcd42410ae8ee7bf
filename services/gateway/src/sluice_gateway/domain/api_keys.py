"""Whether an API key is valid; pure. sluice_contracts.api_keys says how keys are written."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sluice_contracts.api_keys import (
    ID_DIGITS,
    MAX_SECRETS,
    PATTERN,
    PREFIX,
    digest,
    has_checksum,
)

__all__ = ["ApiKey", "ApiKeys", "RefusedKeyError", "Secret"]

_KEY: Final = re.compile(PATTERN)


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
        if not has_checksum(text):
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


def _matching(key: ApiKey, sha256: bytes) -> Secret | None:
    """Return the secret of the digest, after as many comparisons whatever the key is."""
    padding = _NOBODY.secrets[: MAX_SECRETS - len(key.secrets)]
    found = None
    for secret in (*key.secrets, *padding):
        if hmac.compare_digest(secret.sha256, sha256):
            found = secret
    return found
