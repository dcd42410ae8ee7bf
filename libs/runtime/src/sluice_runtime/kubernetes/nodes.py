"""The nodes of a Workflow's status, which Argo compresses once the object grows past 1 MB.

https://argo-workflows.readthedocs.io/en/latest/offloading-large-workflows/
"""

import base64
import binascii
import gzip
import json
import zlib
from typing import Any

__all__ = ["Nodes", "UnreadableNodesError", "read_nodes", "write_nodes"]

Nodes = dict[str, dict[str, Any]]

_COMPRESSED = "compressedNodes"


class UnreadableNodesError(ValueError):
    """compressedNodes is not base64 of gzip of JSON."""


def read_nodes(status: dict[str, Any]) -> Nodes:
    """Give a status' nodes by id, compressed or not.

    Nodes that Argo has offloaded to its database are not here: an empty map.

    Raises:
        UnreadableNodesError: compressedNodes cannot be read.
    """
    compressed = status.get(_COMPRESSED)
    if compressed:
        try:
            nodes: Nodes = json.loads(gzip.decompress(base64.b64decode(compressed, validate=True)))
        except (binascii.Error, OSError, EOFError, zlib.error, ValueError) as e:
            raise UnreadableNodesError("compressedNodes cannot be read") from e
        return nodes
    return status.get("nodes") or {}


def write_nodes(status: dict[str, Any], nodes: Nodes) -> dict[str, Any]:
    """Give the status with these nodes instead, compressed if they were so before."""
    if status.get(_COMPRESSED):
        text = json.dumps(nodes, separators=(",", ":"), ensure_ascii=False).encode()
        return {**status, _COMPRESSED: base64.b64encode(gzip.compress(text, mtime=0)).decode()}
    return {**status, "nodes": nodes}
