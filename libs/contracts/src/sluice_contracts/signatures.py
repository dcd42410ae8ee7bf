"""Signatures of request records, as Standard Webhooks 1.0 has them, in headers of Kafka.

`webhook-id`, `webhook-timestamp` and `webhook-signature` sign `id.timestamp.value` by HMAC-SHA256.
The id ends with the digest of the record's key, so that a value cannot be moved to another key.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from sluice_contracts.ids import Tenant
from sluice_contracts.records import IncomingRecord, OutgoingRecord, header

__all__ = ["ANY_TENANT", "SIGNED_ID", "KeyRing", "SigningKey", "new_secret"]

ANY_TENANT: Final = "*"

SIGNED_ID: Final = "webhook-id"
_TIMESTAMP: Final = "webhook-timestamp"
_SIGNATURE: Final = "webhook-signature"

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64
_MOST_SIGNATURES: Final = 16

# Between the clocks of producer and broker, and for as long as a producer tries.
_TOLERANCE_MS: Final = 5 * 60 * 1000


class SigningKey(BaseModel):
    """A key, and the tenant that signs by it; a tenant may have several while it changes them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tenant: Annotated[
        Tenant | Annotated[str, Field(pattern=r"^\*$")],
        Field(description="Whose it is; `*` is for a service that writes for all, as the gateway."),
    ]
    secret: Annotated[SecretStr, Field(description="`whsec_` and 24 to 64 random bytes in base64.")]

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr) -> SecretStr:
        if not _SHORTEST <= len(_bytes_of(secret)) <= _LONGEST:
            raise ValueError(f"Must be {_PREFIX} and {_SHORTEST} to {_LONGEST} bytes in base64.")
        return secret

    @property
    def key(self) -> bytes:
        """The bytes of the key."""
        return _bytes_of(self.secret)


@dataclass(frozen=True)
class KeyRing:
    """The keys by which tenants sign."""

    keys: tuple[SigningKey, ...] = field(repr=False)

    @classmethod
    def of(cls, keys: Iterable[SigningKey]) -> Self:
        """Return the ring of these keys."""
        return cls(tuple(keys))

    def refusal(self, record: IncomingRecord, *, tenant: str) -> str | None:
        """Return why the record does not prove that it is from this tenant; None if it does.

        Its time is compared with the time at which the broker appended it: a record may wait for
        hours before it is read.
        """
        given_id, stamp = header(record.headers, SIGNED_ID), header(record.headers, _TIMESTAMP)
        given = header(record.headers, _SIGNATURE)
        if given_id is None or stamp is None or given is None:
            return f"{SIGNED_ID}, {_TIMESTAMP} and {_SIGNATURE} must be headers of the record"
        # A full stop would let a part of the id pass for the time.
        if not given_id.endswith(f"-{_digest(record.key)}") or "." in given_id:
            return (
                f"{SIGNED_ID} must end with a hyphen and the SHA-256 of the record's key, in hex, "
                "and have no full stop"
            )
        if not re.fullmatch(r"[0-9]{1,12}", stamp):
            return f"{_TIMESTAMP} must be whole seconds of the Unix epoch"
        if abs(int(stamp) * 1000 - record.timestamp_ms) > _TOLERANCE_MS:
            return f"{_TIMESTAMP} is more than 5 minutes from the time at which it was appended"
        signatures = given.split(" ")[:_MOST_SIGNATURES]
        for key in self._of(tenant):
            expected = _signature(key, given_id, stamp, record.value)
            if any(hmac.compare_digest(expected.encode(), each.encode()) for each in signatures):
                return None
        return f"{_SIGNATURE} is not by a key of the tenant"

    def sign(self, record: OutgoingRecord, *, tenant: str, seconds: int) -> OutgoingRecord:
        """Return the record with the headers; `seconds` is the time since the Unix epoch.

        Raises:
            LookupError: there is no key for the tenant.
        """
        key = next(self._of(tenant), None)
        if key is None:
            raise LookupError(f"There is no key to sign with for tenant {tenant!r}.")
        signed_id, stamp = f"{secrets.token_hex(16)}-{_digest(record.key)}", str(seconds)
        ours = {
            SIGNED_ID: signed_id,
            _TIMESTAMP: stamp,
            _SIGNATURE: _signature(key, signed_id, stamp, record.value),
        }
        own = tuple((name, value.encode()) for name, value in ours.items())
        return replace(record, headers=record.headers + own)

    def _of(self, tenant: str) -> Iterator[SigningKey]:
        # A tenant's own come first.
        yield from (key for key in self.keys if key.tenant == tenant)
        yield from (key for key in self.keys if key.tenant == ANY_TENANT)


def new_secret() -> str:
    """Return a new key as text."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _signature(key: SigningKey, signed_id: str, stamp: str, value: bytes | None) -> str:
    content = f"{signed_id}.{stamp}.".encode() + (value or b"")
    return "v1," + base64.b64encode(hmac.digest(key.key, content, "sha256")).decode()


def _digest(key: bytes | None) -> str:
    return hashlib.sha256(key or b"").hexdigest()


def _bytes_of(secret: SecretStr) -> bytes:
    text = secret.get_secret_value()
    if not text.startswith(_PREFIX):
        return b""
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
