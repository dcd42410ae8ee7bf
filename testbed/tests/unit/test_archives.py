"""Home-made images are archives as Docker saves them, and come out alike each time."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from testbed.building.archives import write_archive, write_layer


def member(archive: tarfile.TarFile, name: str) -> bytes:
    content = archive.extractfile(name)
    assert content is not None
    return content.read()


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    program = tmp_path / "program"
    program.write_bytes(b"#!")
    written = tmp_path / "layer.tar"
    write_layer(
        written,
        files={"bin/program": program, "etc/passwd": b"root"},
        links={"bin/sh": "program"},
        folders={"tmp": 0o1777},
    )
    return written


def test_a_layer_has_modes_and_no_owner_but_root(layer: Path) -> None:
    with tarfile.open(layer) as opened:
        found = {entry.name: entry for entry in opened.getmembers()}
    modes = {name: oct(entry.mode) for name, entry in found.items() if not entry.issym()}
    assert modes == {"tmp": "0o1777", "bin/program": "0o755", "etc/passwd": "0o644"}
    assert found["bin/sh"].linkname == "program"
    assert {(entry.uid, entry.gid, entry.mtime) for entry in found.values()} == {(0, 0, 0)}


def test_an_archive_names_its_layers_by_their_digests(layer: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    write_archive(image, tag="bread:1", layers=[layer], config={"Cmd": ["sh"]})
    with tarfile.open(image) as archive:
        [manifest] = json.loads(member(archive, "manifest.json"))
        config: dict[str, Any] = json.loads(member(archive, manifest["Config"]))
        [content] = [member(archive, name) for name in manifest["Layers"]]
    assert manifest["RepoTags"] == ["bread:1"]
    assert content == layer.read_bytes()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content).hexdigest()}"]
    assert config["config"] == {"Cmd": ["sh"]}
