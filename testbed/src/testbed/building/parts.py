"""A part is built into a folder whose name says what it was made from, or found there."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from testbed.errors import TestbedError

Say = Callable[[str], None]
"""Shows a person one line."""


class Part(Protocol):
    """Something that is built once for each ``key``."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def version(self) -> str:
        """Which one it is, for people."""
        ...

    @property
    def key(self) -> str:
        """Digest of all it is made from."""
        ...

    def build(self, out: Path) -> None:
        """Build it into the empty folder ``out``, or raise TestbedError."""
        ...


def digest_of(*texts: str) -> str:
    """Return a short digest of texts."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(text.encode())
        whole.update(b"\0")
    return whole.hexdigest()[:16]


def built_folder(part: Part, *, cache: Path) -> Path:
    """Return where the part lies once it is built."""
    return cache / f"{part.name}-{part.version}-{part.key}"


def build_all(parts: Iterable[Part], *, cache: Path, say: Say) -> None:
    """Build what the cache lacks, with a line for each part.

    Raises:
        TestbedError: a part could not be built; what was built before it is kept.
    """
    # What builds that were killed have left.
    for left in cache.glob(".*"):
        shutil.rmtree(left)
    for part in parts:
        label = f"{part.name} {part.version}".strip()
        if built_folder(part, cache=cache).exists():
            say(f"  {label}: built before")
            continue
        say(f"  {label}: building ...")
        began = time.monotonic()
        try:
            _build(part, cache=cache)
        except TestbedError as error:
            raise TestbedError(f"{label} could not be built.\n{error}") from error
        say(f"  {label}: built in {time.monotonic() - began:.0f} s")


def _build(part: Part, *, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    # Where it belongs is said by what it is made from now, not by what that has become meanwhile.
    place = built_folder(part, cache=cache)
    # Built beside its place: an interrupted build never looks like a part.
    staging = Path(tempfile.mkdtemp(dir=cache, prefix=f".{part.name}-"))
    try:
        part.build(staging)
        staging.chmod(0o755)
        if built_folder(part, cache=cache) != place:
            raise TestbedError("Its sources changed meanwhile.", way_out="Run the command again.")
        staging.rename(place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
