"""Lock files: all jars of one Kafka version with their sha256.

Lines have the format of `sha256sum`, with paths of a Maven repository. So `sha256sum -c` in the
cache folder verifies the same as this module.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>[^\s/]+(?:/[^\s/]+){3,}\.jar)")


@dataclass(frozen=True)
class LockedJar:
    """One jar: `path` is GROUP/AS/FOLDERS/ARTIFACT/VERSION/ARTIFACT-VERSION.jar."""

    path: PurePosixPath
    sha256: str

    @property
    def group(self) -> str:
        """The Maven groupId."""
        return ".".join(self.path.parts[:-3])

    @property
    def artifact(self) -> str:
        """The Maven artifactId."""
        return self.path.parts[-3]

    @property
    def version(self) -> str:
        """The Maven version."""
        return self.path.parts[-2]

    @property
    def classifier(self) -> str:
        """The Maven classifier, mostly empty."""
        return self.path.stem.removeprefix(f"{self.artifact}-{self.version}").removeprefix("-")


def lock_path(version: str) -> Path:
    """Return the path of the lock file of a Kafka version; the file may not exist."""
    return Path(__file__).with_name(f"jars-{version}.sha256")


def locked_versions() -> list[str]:
    """Return the Kafka versions that have a lock file."""
    files = Path(__file__).parent.glob("jars-*.sha256")
    return sorted(file.stem.removeprefix("jars-") for file in files)


def parse(text: str) -> list[LockedJar]:
    """Return the jars of a lock file.

    Raises:
        ValueError: a line is not `SHA256  PATH.jar`.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or ".." in PurePosixPath(match["path"]).parts:
            raise ValueError(f"line {number} is not 'SHA256  PATH.jar': {line!r}")
        jars.append(LockedJar(path=PurePosixPath(match["path"]), sha256=match["sha256"]))
    return jars


def render(jars: list[LockedJar]) -> str:
    """Return the text of a lock file, sorted by path."""
    lines = sorted((str(jar.path), jar.sha256) for jar in jars)
    return "".join(f"{sha256}  {path}\n" for path, sha256 in lines)


def sha256_of(file: Path) -> str:
    """Return the hex sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
