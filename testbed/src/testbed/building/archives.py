"""Assemble a container image from root file system tars, without a registry and without a daemon.

The format is that of ``docker save``, which Docker and containerd import alike:
https://github.com/moby/docker-image-spec
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CHUNK = 1024 * 1024
_EPOCH = "1970-01-01T00:00:00Z"


def write_archive(
    target: Path, *, tag: str, layers: Sequence[Path], config: Mapping[str, Any]
) -> None:
    """Write an image of uncompressed layer tars; ``config`` as in the image specification."""
    digests = [_sha256(layer) for layer in layers]
    image = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _EPOCH,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": _EPOCH, "created_by": "testbed"} for _ in layers],
        }
    ).encode()
    config_name = f"{hashlib.sha256(image).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(target, "w") as archive:
        _add_bytes(archive, config_name, image)
        for name, layer in zip(names, layers, strict=True):
            archive.add(layer, arcname=name)
        _add_bytes(archive, "manifest.json", manifest)


def write_layer(
    target: Path,
    *,
    files: Mapping[str, Path | bytes] | None = None,
    links: Mapping[str, str] | None = None,
    folders: Mapping[str, int] | None = None,
) -> None:
    """Write a layer: programs and texts by their paths, symlinks, folders by their modes."""
    with tarfile.open(target, "w") as layer:
        for path, mode in (folders or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        for path, content in (files or {}).items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            _add_bytes(layer, path, data, mode=0o644 if isinstance(content, bytes) else 0o755)
        for path, points_to in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, points_to
            layer.addfile(entry)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
