"""Sends documents with their version, and only the version to clients that have the document."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from sluice_gateway.handlers.identification import is_public
from sluice_gateway.handlers.large_responses import send_body
from sluice_gateway.handlers.operations import JSON, Answer
from sluice_gateway.handlers.parameters import ETAG

__all__ = ["NOT_MODIFIED", "PRIVATE", "digest_of", "is_known", "send_json", "send_versioned"]

PRIVATE: Final = "private, no-cache"
"""Cache-Control of what not everybody may see: one client may keep it, and asks before each use."""

NOT_MODIFIED: Final = Answer(status=304, description="The client has it.", headers=(ETAG,))
"""Of what has a version, and `If-None-Match` among its headers."""


def is_known(request: web.Request, version: str) -> bool:
    """Return whether `If-None-Match` has the version (RFC 9110 section 13.1.2)."""
    return any(etag.value in (version, "*") for etag in request.if_none_match or ())


async def send_json(request: web.Request, document: Mapping[str, Any]) -> web.StreamResponse:
    """Answer with a document, whose digest is its version.

    Raises:
        ProblemError: OVERLOADED, as send_body.
    """
    body = json.dumps(document, ensure_ascii=False).encode()
    return await send_versioned(request, body, version=digest_of(body), media_type=JSON)


async def send_versioned(
    request: web.Request,
    body: bytes,
    *,
    version: str,
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with the body, or with 304 if the client has this version of it.

    Raises:
        ProblemError: OVERLOADED, as send_body.
    """
    caching = "no-cache" if is_public(request) else PRIVATE
    common = {"ETag": f'"{version}"', "Cache-Control": caching, **(headers or {})}
    if is_known(request, version):
        return web.Response(status=304, headers=common)
    return await send_body(request, body, headers={"Content-Type": media_type, **common})


def digest_of(body: bytes) -> str:
    """Return a version that is the same on every replica."""
    return hashlib.sha256(body).hexdigest()[:32]
