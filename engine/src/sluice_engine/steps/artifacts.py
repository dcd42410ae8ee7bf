"""The artifact folder, in place of an S3 bucket: keys are paths in it."""

import secrets
import shutil
from pathlib import Path, PurePosixPath

__all__ = ["ArtifactFolder"]


class ArtifactFolder:
    """Files and folders under keys. Its methods block: call them in a thread.

    Args:
        root: where they are; created when first needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def lay_out(self, key: str, destination: Path) -> None:
        """Copy what is under a key, one object or a whole folder of them.

        Raises:
            FileNotFoundError: there is nothing.
            ValueError: it is not a key.
        """
        source = self._path(key)
        destination.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, destination, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, destination)

    def keep(self, source: Path, key: str) -> None:
        """Copy a file or folder to a key; readers see all of it or nothing.

        Raises:
            FileNotFoundError: there is nothing to keep.
            ValueError: it is not a key.
        """
        destination = self._path(key)
        destination.parent.mkdir(parents=True, exist_ok=True)
        new = self._root / f".new-{secrets.token_hex(8)}"
        if source.is_dir():
            shutil.copytree(source, new, symlinks=True)
        else:
            shutil.copyfile(source, new)
        if source.is_dir() or destination.is_dir():
            # Only a file can be replaced in one move.
            _remove(destination)
        new.replace(destination)

    def remove(self, key: str) -> None:
        """Remove everything under a key, if there is anything."""
        _remove(self._path(key))

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key.strip("/")).parts
        if not parts or ".." in parts or "\0" in key:
            message = f"{key!r} is not the key of an artifact"
            raise ValueError(message)
        return self._root.joinpath(*parts)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
