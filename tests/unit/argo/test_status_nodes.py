"""A Workflow's nodes, compressed or not."""

import base64
import gzip
import json
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_argo import status_nodes
from sluice_argo.status_nodes import (
    MAX_NODES_BYTES,
    MAX_NODES_VALUES,
    Nodes,
    UnreadableNodesError,
    read_nodes,
    write_nodes,
)

NODES: Nodes = {"a": {"phase": "Running", "name": "ü"}, "b": {}}


def packed(text: bytes) -> str:
    # Without the time, for texts are names of tests, which each worker finds alike.
    return base64.b64encode(gzip.compress(text, mtime=0)).decode()


def in_format(codec: Any, text: bytes) -> str:
    return base64.b64encode(bytes(codec.compress(text, 1))).decode()


def compressed(nodes: object) -> str:
    return packed(json.dumps(nodes).encode())


def test_plain_nodes() -> None:
    assert read_nodes({"nodes": NODES}) == NODES
    for status in ({}, {"nodes": None}, {"compressedNodes": ""}):
        assert read_nodes(status) == {}


def test_compressed_nodes() -> None:
    assert read_nodes({"compressedNodes": compressed(NODES), "nodes": None}) == NODES


@pytest.mark.parametrize("codec", [cramjam.zstd, cramjam.brotli])
def test_nodes_in_the_formats_of_argo_4_1(codec: Any) -> None:
    packed = bytes(codec.compress(json.dumps(NODES).encode()))
    status = {"compressedNodes": base64.b64encode(packed).decode()}
    assert read_nodes(status) == NODES
    assert read_nodes(write_nodes(status, {"b": {}})) == {"b": {}}


@pytest.mark.parametrize("codec", [cramjam.zstd, cramjam.brotli])
def test_a_bomb_in_the_formats_of_argo_4_1_is_unreadable(codec: Any) -> None:
    text = b'{"a": {"message": "' + b"x" * MAX_NODES_BYTES + b'"}}'
    packed = base64.b64encode(bytes(codec.compress(text))).decode()
    assert len(packed) < 100_000
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": packed})


@pytest.mark.parametrize("codec", [cramjam.zstd, cramjam.brotli])
def test_truncated_nodes_are_unreadable(codec: Any) -> None:
    packed = bytes(codec.compress(json.dumps(NODES).encode()))[:-3]
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": base64.b64encode(packed).decode()})


@pytest.mark.parametrize(
    "text",
    ["%", "e30=", "é", packed(b"{"), compressed(NODES)[:40]],
)
def test_invalid_compressed_nodes_are_unreadable(text: str) -> None:
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": text})


@pytest.mark.parametrize(
    "odd",
    [
        7,
        ["a"],
        {"a": 1},
        packed(b"[" * 200_000),
        packed(b"[]"),
        packed(b'{"a": 1}'),
        packed(b"\xff"),
        packed(b'{"a": {"x": ' + b"9" * 5000 + b"}}"),
        packed(b'{"a": {"message": "\\ud800"}}'),
        packed(b'{"a": {"message": "\\uDFFF"}}'),
    ],
)
def test_any_compressed_nodes_are_readable_or_unreadable(odd: object) -> None:
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": odd})


@pytest.mark.parametrize("odd", [7, "text", [{}], {"a": None}, {"a": "text"}])
def test_nodes_must_be_a_map_of_objects(odd: object) -> None:
    with pytest.raises(UnreadableNodesError):
        read_nodes({"nodes": odd})


def test_a_surrogate_pair_is_read() -> None:
    status = {"compressedNodes": packed(b'{"a": {"message": "\\ud83d\\ude00"}}')}
    assert read_nodes(status) == {"a": {"message": "\U0001f600"}}


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_gzip_bomb_is_unreadable(beyond: int) -> None:
    head, tail = b'{"a": {"x": "', b'"}}'
    filling = MAX_NODES_BYTES - len(head) - len(tail) + beyond
    status = {"compressedNodes": packed(head + b"x" * filling + tail)}
    if beyond:
        with pytest.raises(UnreadableNodesError):
            read_nodes(status)
    else:
        assert len(read_nodes(status)["a"]["x"]) == filling


@pytest.mark.parametrize("bomb", [b"[],", b"0,"])
@pytest.mark.parametrize("codec", [gzip, cramjam.zstd, cramjam.brotli])
def test_a_bomb_of_values_is_not_parsed(
    monkeypatch: pytest.MonkeyPatch, codec: Any, bomb: bytes
) -> None:
    """32 MiB of them would take 600 MB of memory and more."""
    monkeypatch.setattr(status_nodes, "_members", lambda _text: [])
    filling = bomb * (MAX_NODES_BYTES // len(bomb) - 10)
    text = b'{"a": {"x": [' + filling + b"0]}}"
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": in_format(codec, text)})


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("codec", [gzip, cramjam.zstd, cramjam.brotli])
def test_the_largest_number_of_values_is_read(codec: Any, beyond: int) -> None:
    # The brackets and colons around them are five.
    commas = MAX_NODES_VALUES - 5 + beyond
    text = b'{"a": {"x": [' + b"0," * commas + b"0]}}"
    status = {"compressedNodes": in_format(codec, text)}
    if beyond:
        with pytest.raises(UnreadableNodesError):
            read_nodes(status)
    else:
        assert len(read_nodes(status)["a"]["x"]) == commas + 1


@given(st.binary())
def test_any_bytes_are_nodes_or_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableNodesError):
        read_nodes({"compressedNodes": base64.b64encode(data or b"x").decode()})


MAPS = st.dictionaries(
    st.text(max_size=5),
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5),
        max_size=3,
    ),
    max_size=4,
)


@given(MAPS, st.sampled_from([None, 1]), st.booleans(), st.data())
def test_member_by_member_parsing_equals_the_parser(
    nodes: Nodes, indent: int | None, ascii_only: bool, data: st.DataObject
) -> None:
    """Complete texts, and texts with a part removed."""
    text = json.dumps(nodes, indent=indent, ensure_ascii=ascii_only)
    start = data.draw(st.integers(0, len(text)))
    cut = text[:start] + text[start + data.draw(st.integers(0, 2)) :]
    for each in (text, f" \n{text}\t", cut, f"{text}{{}}"):
        try:
            expected = json.loads(each)
            json.dumps(expected, ensure_ascii=False).encode()
        except ValueError:
            expected = None
        whole = isinstance(expected, dict) and all(
            isinstance(node, dict) for node in expected.values()
        )
        if whole:
            assert read_nodes({"compressedNodes": packed(each.encode())}) == expected
        else:
            with pytest.raises(UnreadableNodesError):
                read_nodes({"compressedNodes": packed(each.encode())})


@pytest.mark.parametrize("status", [{"nodes": {}}, {"compressedNodes": compressed({})}, {}])
def test_nodes_are_written_in_their_form(status: dict[str, object]) -> None:
    written = write_nodes(status | {"phase": "Running"}, NODES)
    assert read_nodes(written) == NODES
    assert written["phase"] == "Running"
    assert ("compressedNodes" in written) is ("compressedNodes" in status)
    assert write_nodes(status, NODES) == write_nodes(status, NODES)
