"""The file with the gateway's own secrets, in YAML; all replicas have the same.

keys:
- id: 2026-11
  secret: <base64 of 32 random bytes, as of `openssl rand -base64 32`>
"""

import base64
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from sluice_gateway.domain.key_ring import KEY_BYTES, KeyRing, RingKey
from sluice_runtime.strict_yaml import StrictModel, read_yaml

__all__ = ["read_key_ring"]


class _Key(StrictModel):
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
    secret: Annotated[str, Field(repr=False)]

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        try:
            length = len(self.raw())
        except ValueError as e:
            raise ValueError("secret must be base64") from e
        if length < KEY_BYTES:
            raise ValueError(f"secret must be at least {KEY_BYTES} bytes, as base64")
        return self

    def raw(self) -> bytes:
        return base64.b64decode(self.secret, validate=True)


class _Ring(StrictModel):
    keys: Annotated[list[_Key], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({each.id for each in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same id")
        return self


def read_key_ring(content: bytes, *, source: str) -> KeyRing:
    """Return the keys of a file, of which the first one is used for what is made now.

    Raises:
        FileError: it cannot be used.
    """
    read = read_yaml(content, _Ring, source=source)
    return KeyRing(tuple(RingKey(id=each.id, secret=each.raw()) for each in read.keys))
