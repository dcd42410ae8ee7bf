"""Parts are cached in folders that are named by a digest of their sources."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from testbed.errors import TestbedError

Say = Callable[[str], None]
"""Shows one line to the user."""


class Part(Protocol):
    """Something that is built once for each ``key``."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> str:
        """Its version, for display."""
        ...

    @property
    def key(self) -> str:
        """Digest of all sources."""
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
    """Return the folder of the built part."""
    return cache / f"{part.name}-{part.version}-{part.key}"


def build_all(parts: Iterable[Part], *, cache: Path, say: Say) -> None:
    """Build the parts that are not in the cache, with a line for each.

    Raises:
        TestbedError: a part could not be built; what was built before it is kept.
    """
    # Left by killed builds.
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
    # Named by the sources at the start: they may change during the build.
    place = built_folder(part, cache=cache)
    # Built beside its place: an interrupted build never looks like a part.
    staging = Path(tempfile.mkdtemp(dir=cache, prefix=f".{part.name}-"))
    try:
        part.build(staging)
        staging.chmod(0o755)
        if built_folder(part, cache=cache) != place:
            raise TestbedError(
                "Its sources changed during the build.", way_out="Run the command again."
            )
        staging.rename(place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
