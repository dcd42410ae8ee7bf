"""Watch links: anyone who has one may look at one run, until it expires.

A token is `slw_<key id>_<base64url of the payload and its HMAC-SHA256>`. The payload is
`<seconds since 1970>:<p, or nothing>:<tenant>:<run id>:<workflow>`; `p` shows payloads as well.
The workflow counts, because the id may turn out to be that of another run.
"""

import base64
import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

from sluice_contracts.ids import RunKey
from sluice_gateway.domain.identity import WatchedRun
from sluice_gateway.domain.key_ring import KeyRing, Purpose

__all__ = ["MAX_TOKEN_CHARACTERS", "WatchLinkError", "read_watch_token", "watch_token"]

MAX_TOKEN_CHARACTERS: Final = 512

_TOKEN: Final = re.compile(r"slw_(?P<key>[a-z0-9-]{1,32})_(?P<rest>[A-Za-z0-9_-]+)")
_DIGEST_BYTES: Final = 32
_PAYLOAD: Final = re.compile(
    r"(?P<until>[0-9]{1,12}):(?P<payloads>p?):(?P<tenant>[^:]+):(?P<run_id>[^:]+)"
    r":(?P<workflow>[^:]+)"
)


class WatchLinkError(Exception):
    """The token shows nothing. The message is a reason for the log, without any part of it."""


def watch_token(watched: WatchedRun, *, until: datetime, ring: KeyRing) -> str:
    """Return a token that shows the run until then."""
    payloads = "p" if watched.payloads else ""
    run = f"{watched.key.tenant}:{watched.key.run_id}:{watched.workflow}"
    payload = f"{int(until.timestamp())}:{payloads}:{run}".encode()
    signed = payload + _digest(ring.first.derived(Purpose.WATCH_LINK), ring.first.id, payload)
    return f"slw_{ring.first.id}_{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


def read_watch_token(token: str, *, now: datetime, ring: KeyRing) -> WatchedRun:
    """Return which run the token shows.

    Raises:
        WatchLinkError: it is not ours, or has expired.
    """
    parts = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN_CHARACTERS else None
    if parts is None:
        raise WatchLinkError("not a watch link")
    key = ring.find(parts["key"])
    if key is None:
        raise WatchLinkError("of a key that is not in the ring")
    try:
        signed = base64.urlsafe_b64decode(parts["rest"] + "=" * (-len(parts["rest"]) % 4))
    except ValueError as e:
        raise WatchLinkError("not a watch link") from e
    payload, digest = signed[:-_DIGEST_BYTES], signed[-_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(key.derived(Purpose.WATCH_LINK), key.id, payload)):
        raise WatchLinkError("not signed by its key")
    read = _PAYLOAD.fullmatch(payload.decode())
    if read is None:
        raise WatchLinkError("of another version of Sluice")
    if now.timestamp() >= int(read["until"]):
        raise WatchLinkError("expired")
    key_of_run = RunKey(read["tenant"], read["run_id"])
    return WatchedRun(key=key_of_run, workflow=read["workflow"], payloads=bool(read["payloads"]))


def _digest(key: bytes, key_id: str, payload: bytes) -> bytes:
    return hmac.digest(key, f"{key_id}:".encode() + payload, hashlib.sha256)
