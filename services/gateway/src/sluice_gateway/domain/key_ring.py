"""Secrets of the gateway's own, of which each purpose gets keys of its own."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["KEY_BYTES", "KeyRing", "Purpose", "RingKey"]

KEY_BYTES: Final = 32


class Purpose(StrEnum):
    """What a key is for. What was made for one purpose is nothing to another."""

    WATCH_LINK = "sluice watch link 1"
    SESSION = "sluice session 1"
    SIGN_IN = "sluice sign-in 1"


@dataclass(frozen=True, kw_only=True)
class RingKey:
    """A secret and its id, which what was made with it names."""

    id: str
    secret: bytes = field(repr=False)

    def derived(self, purpose: Purpose) -> bytes:
        """Return the key for a purpose (RFC 5869)."""
        hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode())
        return hkdf.derive(self.secret)


@dataclass(frozen=True)
class KeyRing:
    """At least one key. The first one makes, all of them read."""

    keys: tuple[RingKey, ...]

    @property
    def first(self) -> RingKey:
        """The key for what is made now."""
        return self.keys[0]

    def find(self, key_id: str) -> RingKey | None:
        """Return the key of this id."""
        return next((each for each in self.keys if each.id == key_id), None)
