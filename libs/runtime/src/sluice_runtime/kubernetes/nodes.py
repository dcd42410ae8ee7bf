"""The nodes of a Workflow's status, which Argo compresses once the object grows past 1 MB.

https://argo-workflows.readthedocs.io/en/latest/offloading-large-workflows/
"""

import base64
import gzip
import io
import json
import re
import zlib
from typing import Any, Final

__all__ = ["MAX_NODES_BYTES", "Nodes", "UnreadableNodesError", "read_nodes", "write_nodes"]

Nodes = dict[str, dict[str, Any]]

MAX_NODES_BYTES: Final = 32 * 1024 * 1024
"""What compressed nodes may grow to: far more than those of a real Workflow."""

_COMPRESSED = "compressedNodes"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class UnreadableNodesError(ValueError):
    """The nodes are not a map of objects, or compressedNodes is not base64 of gzip of that."""


def read_nodes(status: dict[str, Any]) -> Nodes:
    """Give a status' nodes by id, compressed or not.

    Nodes that Argo has offloaded to its database are not here: an empty map.

    Raises:
        UnreadableNodesError: whatever else stands where the nodes should, or more of them than
            MAX_NODES_BYTES.
    """
    compressed = status.get(_COMPRESSED)
    try:
        nodes = _decompressed(compressed) if compressed else status.get("nodes") or {}
    # RecursionError: JSON nested too deeply. The rest: no base64, gzip, UTF-8 or JSON.
    except (ValueError, TypeError, OSError, EOFError, zlib.error, RecursionError) as e:
        raise UnreadableNodesError(f"{_COMPRESSED} cannot be read") from e
    if not (isinstance(nodes, dict) and all(isinstance(node, dict) for node in nodes.values())):
        raise UnreadableNodesError("the nodes are no map of objects")
    return nodes


def write_nodes(status: dict[str, Any], nodes: Nodes) -> dict[str, Any]:
    """Give the status with these nodes instead, compressed if they were so before."""
    if status.get(_COMPRESSED):
        text = json.dumps(nodes, separators=(",", ":"), ensure_ascii=False).encode()
        return {**status, _COMPRESSED: base64.b64encode(gzip.compress(text, mtime=0)).decode()}
    return {**status, "nodes": nodes}


def _decompressed(compressed: str) -> object:
    packed = base64.b64decode(compressed, validate=True)
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        # A few kilobytes can hold gigabytes: never more is unpacked than may be there.
        text = stream.read(MAX_NODES_BYTES + 1)
    if len(text) > MAX_NODES_BYTES:
        raise ValueError(f"more than {MAX_NODES_BYTES} bytes")
    nodes: object = json.loads(text.decode())
    if _SURROGATE.search(text):
        # Half a character can be read but never written again; whole ones pass.
        json.dumps(nodes, ensure_ascii=False).encode()
    return nodes
