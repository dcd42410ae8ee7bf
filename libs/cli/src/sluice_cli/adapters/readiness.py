"""What a service says of itself at /readyz."""

import json
import urllib.error
import urllib.request
from typing import Final

__all__ = ["readiness_at"]

_TIMEOUT_S: Final = 5.0


def readiness_at(address: str) -> str:
    """Return what a service that is ready says.

    Raises:
        OSError: it does not answer, or is not ready; the message says what it waits for.
        ValueError: the address is not one.
    """
    if not address.startswith(("http://", "https://")):
        raise ValueError("the address must be like http://localhost:8090")
    url = f"{address.removesuffix('/').removesuffix('/readyz')}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - see above
            return _said(response.read())
    except urllib.error.HTTPError as e:
        raise OSError(_said(e.read())) from None


def _said(body: bytes) -> str:
    found = json.loads(body)
    parts = [str(found.get("status"))]
    for member in ("waiting_for", "degraded"):
        parts += [f"{member} {name}: {why}" for name, why in found.get(member, {}).items()]
    return "; ".join(parts)
