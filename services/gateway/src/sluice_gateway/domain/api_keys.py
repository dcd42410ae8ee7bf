"""Whether an API key is valid; pure. sluice_contracts.api_keys says how keys are written."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sluice_contracts.api_keys import (
    ID_DIGITS,
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


class ApiKeys:
    """All keys that there are."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        # How long a look-up takes says nothing of them: Python hashes the digest with a secret.
        self._secrets = {
            (key.id, secret.sha256): (key, secret) for key in keys for secret in key.secrets
        }

    def verify(self, text: str, *, now: datetime) -> ApiKey:
        """Return the key that the text is.

        Raises:
            RefusedKeyError: it is not valid now.
        """
        if not _KEY.fullmatch(text):
            raise RefusedKeyError("not an API key")
        key_id = text[len(PREFIX) : len(PREFIX) + ID_DIGITS]
        found = self._secrets.get((key_id, digest(text)))
        if found is None:
            fault = "unknown API key" if has_checksum(text) else "API key with a typing error"
            raise RefusedKeyError(fault)
        key, secret = found
        if secret.not_before is not None and now < secret.not_before:
            raise RefusedKeyError("API key that is not valid yet")
        if secret.expires_at is not None and now >= secret.expires_at:
            raise RefusedKeyError("expired API key")
        return key
