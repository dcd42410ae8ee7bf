"""A Workflow's nodes, compressed or not."""

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_runtime.kubernetes.nodes import (
    Nodes,
    UnreadableNodesError,
    read_nodes,
    write_nodes,
)

NODES: Nodes = {"a": {"phase": "Running", "name": "ü"}, "b": {}}


def compressed(nodes: object) -> str:
    return base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()


def test_nodes_as_they_are() -> None:
    assert read_nodes({"nodes": NODES}) == NODES
    for status in ({}, {"nodes": None}, {"compressedNodes": ""}):
        assert read_nodes(status) == {}


def test_compressed_nodes() -> None:
    assert read_nodes({"compressedNodes": compressed(NODES), "nodes": None}) == NODES


@pytest.mark.parametrize(
    "text",
    ["%", "e30=", "é", base64.b64encode(gzip.compress(b"{")).decode(), compressed(NODES)[:40]],
)
def test_nodes_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": text})


@given(st.binary())
def test_any_bytes_are_nodes_or_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": base64.b64encode(data or b"x").decode()})


@pytest.mark.parametrize("status", [{"nodes": {}}, {"compressedNodes": compressed({})}, {}])
def test_nodes_are_written_as_they_were_read(status: dict[str, object]) -> None:
    written = write_nodes(status | {"phase": "Running"}, NODES)
    assert read_nodes(written) == NODES
    assert written["phase"] == "Running"
    assert ("compressedNodes" in written) is ("compressedNodes" in status)
    assert write_nodes(status, NODES) == write_nodes(status, NODES)
