"""Problem documents for what HTTP itself finds wrong."""

import json
from http import HTTPStatus
from typing import Final

__all__ = ["MEDIA_TYPE", "plain_problem"]

MEDIA_TYPE: Final = "application/problem+json"


def plain_problem(status: int, *, detail: str | None) -> bytes:
    """Write a problem that has no type but its HTTP status (RFC 9457 section 4.2.1)."""
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    return json.dumps(document).encode()
