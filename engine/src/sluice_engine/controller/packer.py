"""`status.compressedNodes`: how Argo stores the nodes of a Workflow that grew large."""

import base64
import gzip
from typing import Final

from sluice_engine.documents import Object, decode, encode

__all__ = ["MAX_PLAIN_BYTES", "pack", "unpack"]

MAX_PLAIN_BYTES: Final = 1024 * 1024
"""Argo's limit; above it the nodes are compressed."""


def unpack(workflow: Object) -> None:
    """Put `status.nodes` back in place."""
    status = workflow.setdefault("status", {})
    packed = status.pop("compressedNodes", None)
    if packed and not status.get("nodes"):
        status["nodes"] = decode(gzip.decompress(base64.b64decode(packed)))


def pack(workflow: Object) -> None:
    """Compress `status.nodes` if the Workflow is over the limit."""
    if len(encode(workflow)) <= MAX_PLAIN_BYTES:
        return
    nodes = workflow["status"].pop("nodes", {})
    compressed = gzip.compress(encode(nodes), mtime=0)
    workflow["status"]["compressedNodes"] = base64.b64encode(compressed).decode()
