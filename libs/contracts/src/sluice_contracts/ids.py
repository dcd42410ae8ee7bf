"""Run ids, tenants and the names derived from them."""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Annotated, Final, NamedTuple

from pydantic import StringConstraints

__all__ = [
    "DEFAULT_TENANT",
    "RunId",
    "RunKey",
    "Tenant",
    "derive_run_id",
    "is_run_id",
    "is_tenant",
    "new_run_id",
    "workflow_name",
]

DEFAULT_TENANT = "default"

_RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
# A tenant is a DNS label, so that it can name a namespace (RFC 1123).
_TENANT = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"

_DIGITS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE32: Final = tuple(first + second for first in _DIGITS for second in _DIGITS)
_SHIFTS: Final = range(126, 0, -10)

RunId = Annotated[str, StringConstraints(pattern=_RUN_ID)]
Tenant = Annotated[str, StringConstraints(pattern=_TENANT)]


class RunKey(NamedTuple):
    """The identity of a run, written `tenant/run id` as a Kafka key."""

    tenant: str
    run_id: str

    def __str__(self) -> str:
        """Return the text of the Kafka key."""
        return f"{self.tenant}/{self.run_id}"


def is_run_id(text: str) -> bool:
    """Return whether `text` is a valid run id."""
    return re.fullmatch(_RUN_ID, text) is not None


def is_tenant(text: str) -> bool:
    """Return whether `text` is a valid tenant."""
    return re.fullmatch(_TENANT, text) is not None


def workflow_name(key: RunKey) -> str:
    """Return the name of the run's Workflow.

    The name depends on the key only, so that every delivery of a request computes the same one. It
    has 30 characters, well under the 63 that Argo allows (the name is used as a label).
    """
    return f"run-{_digest(key.tenant, key.run_id)}"


def new_run_id(now: datetime) -> str:
    """Return an id that sorts by time, as UUIDv7 does (RFC 9562 section 5.7): 32 hex digits."""
    milliseconds = int(now.timestamp() * 1000)
    return f"{milliseconds:012x}{secrets.token_hex(10)}"


def derive_run_id(*parts: str) -> str:
    """Return an id for a run whose record states none; it is the same on every redelivery.

    `parts` are the source and id of the record's CloudEvent. Otherwise they are the record's
    topic, partition, offset and timestamp; the timestamp keeps a recreated topic from repeating
    ids.
    """
    return f"r-{_digest(*parts)}"


def _digest(*parts: str) -> str:
    """Return 26 characters of lower-case base32: 130 bits of sha256 over the NUL-joined parts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    bits = int.from_bytes(digest[:17])
    # Ten bits at a time; base64.b32encode takes four times as long.
    return "".join([_BASE32[bits >> shift & 1023] for shift in _SHIFTS])
