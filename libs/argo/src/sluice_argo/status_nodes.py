"""The nodes of a Workflow's status, which Argo compresses once the object exceeds 1 MB.

https://argo-workflows.readthedocs.io/en/latest/offloading-large-workflows/
"""

import base64
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final

import cramjam

from sluice_contracts.json_bounds import count_structure

__all__ = [
    "MAX_NODES_BYTES",
    "MAX_NODES_VALUES",
    "Nodes",
    "UnreadableNodesError",
    "has_many_nodes",
    "read_nodes",
    "write_nodes",
]

Nodes = dict[str, dict[str, Any]]

MAX_NODES_BYTES: Final = 32 * 1024 * 1024
"""The most bytes that compressed nodes may expand to: far more than those of a real Workflow."""

MAX_NODES_VALUES: Final = 2_000_000
"""The most commas, colons and opening brackets that they may have, those in strings included.

A value takes up to 85 bytes of memory for each of these: 32 MiB of `[],` would take 600 MB."""

# Reading so many takes about 10 ms.
_FEW = 500
_FEW_BYTES = 16 * 1024
_COMPRESSED = "compressedNodes"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# Raised for JSON that is nested too deeply, and for data that are not base64, compressed, UTF-8 or
# JSON.
_UNREADABLE = (
    RecursionError,
    ValueError,
    TypeError,
    OSError,
    EOFError,
    zlib.error,
    cramjam.DecompressionError,
)
_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class UnreadableNodesError(ValueError):
    """The nodes are not a map of objects, or compressedNodes does not decode to one."""


def read_nodes(status: dict[str, Any]) -> Nodes:
    """Return a status' nodes by id, compressed or not.

    The result is empty if Argo has offloaded the nodes to its database.

    Raises:
        UnreadableNodesError: the nodes are unreadable, or more than MAX_NODES_BYTES or
            MAX_NODES_VALUES.
    """
    compressed = status.get(_COMPRESSED)
    try:
        nodes = _decompressed(compressed) if compressed else status.get("nodes") or {}
    except _UNREADABLE as e:
        raise UnreadableNodesError(f"{_COMPRESSED} cannot be read") from e
    if not (isinstance(nodes, dict) and all(isinstance(node, dict) for node in nodes.values())):
        raise UnreadableNodesError("the nodes are not a map of objects")
    return nodes


def has_many_nodes(workflow: dict[str, Any]) -> bool:
    """Return whether reading a Workflow's nodes takes so long that it needs a thread."""
    status = workflow.get("status")
    if not isinstance(status, dict):
        return False
    compressed, nodes = status.get(_COMPRESSED), status.get("nodes")
    return (isinstance(compressed, str) and len(compressed) > _FEW_BYTES) or (
        isinstance(nodes, dict) and len(nodes) > _FEW
    )


def write_nodes(status: dict[str, Any], nodes: Nodes) -> dict[str, Any]:
    """Return the status with these nodes instead, in gzip if they were compressed before.

    All versions of Argo read gzip, also those that write another format.
    """
    if status.get(_COMPRESSED):
        text = _written(nodes).encode()
        return {**status, _COMPRESSED: base64.b64encode(gzip.compress(text, mtime=0)).decode()}
    return {**status, "nodes": nodes}


def _written(nodes: Nodes) -> str:
    """Return the object as JSON, encoded member by member, so that other threads can run."""
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    members = (f"{encode(name)}:{encode(node)}" for name, node in nodes.items())
    return "{" + ",".join(members) + "}"


def _decompressed(compressed: str) -> object:
    unpacked = _unpacked(base64.b64decode(compressed, validate=True))
    if len(unpacked) > MAX_NODES_BYTES:
        raise ValueError(f"more than {MAX_NODES_BYTES} bytes")
    if count_structure(unpacked) > MAX_NODES_VALUES:
        raise ValueError(f"more than {MAX_NODES_VALUES} values")
    may_be_half = _SURROGATE.search(unpacked) is not None
    text = unpacked.decode()
    # The parser needs the text only: 32 MiB less.
    del unpacked
    nodes: dict[str, Any] = {}
    for name, node in _members(text):
        if may_be_half:
            # A lone surrogate can be decoded but not encoded again; a pair can.
            json.dumps([name, node], ensure_ascii=False).encode()
        nodes[name] = node
    return nodes


def _unpacked(packed: bytes) -> bytes:
    """Return at most MAX_NODES_BYTES + 1 bytes: a few kilobytes can expand to gigabytes.

    Argo detects the format in the same way (v4.1 util/file/fileutil.go).
    """
    if packed.startswith(_GZIP):
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            return stream.read(MAX_NODES_BYTES + 1)
    codec = cramjam.zstd if packed.startswith(_ZSTD) else cramjam.brotli
    # The operating system allocates only the pages of this buffer that are written to.
    unpacked = bytearray(MAX_NODES_BYTES + 1)
    return bytes(memoryview(unpacked)[: codec.decompress_into(packed, unpacked)])


def _members(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the members of a JSON object, parsed one by one.

    `json.loads` blocks all other threads until it is done: a second, for a Workflow of tens of
    thousands of nodes.

    Raises:
        ValueError, TypeError: the text is not a JSON object.
    """
    position = _expect("{", text, 0)
    if text.startswith("}", position):
        position = _expect("}", text, position)
    else:
        decoder, after = json.JSONDecoder(), ","
        while after == ",":
            name, position = decoder.raw_decode(text, position)
            if not isinstance(name, str):
                raise TypeError("a member's name is not a string")
            node, position = decoder.raw_decode(text, _expect(":", text, _skip(text, position)))
            yield name, node
            position = _skip(text, position)
            after = text[position : position + 1]
            position = _expect("," if after == "," else "}", text, position)
    if position != len(text):
        raise ValueError("something follows the object")


def _expect(character: str, text: str, position: int) -> int:
    """Return the position after the character and the white space around it."""
    if not text.startswith(character, position := _skip(text, position)):
        raise ValueError(f"{character} is missing")
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return position if space is None else space.end()
