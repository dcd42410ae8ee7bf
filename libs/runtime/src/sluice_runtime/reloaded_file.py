"""Files that are read again whenever they change, as those of ConfigMaps and Secrets do."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from sluice_runtime.strict_yaml import FileError

__all__ = ["LOOK_EVERY", "ReloadedFile"]

_log = structlog.get_logger(__name__)

LOOK_EVERY: Final = timedelta(seconds=5)
"""How often a file is looked at; the kubelet replaces those of a pod within a minute or two."""

T = TypeVar("T")


class ReloadedFile(Generic[T]):
    """The newest version of a file that could be read.

    `read` makes the value of the content, or raises FileError.
    """

    def __init__(self, path: Path, read: Callable[[bytes], T]) -> None:
        """Read the file.

        Raises:
            FileError: there is no usable version yet.
        """
        self._path = path
        self._read = read
        self._seen = _look(path)
        self._value = read(_content(path))
        self._refused = False

    @property
    def value(self) -> T:
        """The newest version that could be read."""
        return self._value

    @property
    def refused(self) -> bool:
        """Whether the file has changed since, into something that cannot be read."""
        return self._refused

    def look(self) -> None:
        """Read the file if it has changed; a version that cannot be used leaves the value as is."""
        seen = _look(self._path)
        if seen == self._seen:
            return
        # Before the content, so that a change in between is seen by the next look.
        self._seen = seen
        try:
            self._value = self._read(_content(self._path))
        except FileError as e:
            self._refused = True
            _log.error("new version of file refused, the old one stays in use", error=str(e))
        else:
            self._refused = False
            _log.info("file read again", file=str(self._path))

    async def run(self, *, every: timedelta = LOOK_EVERY) -> None:
        """Look at the file every now and then, permanently."""
        while True:
            await asyncio.sleep(every.total_seconds())
            await asyncio.to_thread(self.look)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise FileError(f"{path}: cannot be read: {e.strerror}.") from e


def _look(path: Path) -> object:
    # A file of a Secret is a link to a link: a new version has another inode.
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
