"""The jars of one Kafka version in the cache folder: fetched once, verified at each start."""

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluice_local.errors import LocalModeError
from sluice_local.kafka.lockfile import LockedJar, lock_path, locked_versions, parse, sha256_of

DEFAULT_VERSION = "4.3.1"
_PARALLEL_DOWNLOADS = 4
_ATTEMPTS = 3


class Download(Protocol):
    """Downloads one jar into a Maven repository folder and returns its file."""

    def __call__(self, jar: LockedJar, *, into: Path) -> Path:
        """Raise OSError or RuntimeError if the download failed."""
        ...


@dataclass(frozen=True)
class FetchProgress:
    """The progress of a fetch; `bytes_done` counts finished jars only."""

    done: int
    total: int
    bytes_done: int

    def __str__(self) -> str:
        return f"{self.done}/{self.total} jars, {self.bytes_done / 1e6:.0f} MB"


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/sluice` if that is set, else `~/.cache/sluice`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sluice"


def locked_jars(version: str) -> list[LockedJar]:
    """Return the jars in the lock file of a Kafka version.

    Raises:
        LocalModeError: that version has no lock file.
    """
    path = lock_path(version)
    if not path.exists():
        raise LocalModeError(
            f"Kafka {version} has no lock file of jar checksums.",
            remedy=f"These versions have one: {', '.join(locked_versions())}. Create another with "
            f"`python -m sluice_local.kafka lock --version {version}`.",
        )
    return parse(path.read_text("ascii"))


def class_path(jars: list[LockedJar], *, cache_dir: Path) -> str:
    """Return Java's class path of these jars in the cache folder."""
    return os.pathsep.join(str(_cached(jar, cache_dir)) for jar in jars)


def ensure(
    version: str,
    *,
    cache_dir: Path,
    progress: Callable[[FetchProgress], None] | None = None,
) -> str:
    """Fetch the jars that the cache folder lacks, and return Kafka's class path.

    Raises:
        LocalModeError: there is no lock file or no network, or a jar has another checksum.
    """
    jars = locked_jars(version)
    fetch_missing(jars, cache_dir=cache_dir, progress=progress)
    return class_path(jars, cache_dir=cache_dir)


def fetch_missing(
    jars: list[LockedJar],
    *,
    cache_dir: Path,
    progress: Callable[[FetchProgress], None] | None = None,
    download: Download | None = None,
) -> None:
    """Fetch the jars that the cache folder lacks.

    All jars are verified, also cached ones; a damaged one is fetched again.

    Raises:
        LocalModeError: there is no network, or a jar has another checksum.
    """
    wanted = [jar for jar in jars if not _is_intact(_cached(jar, cache_dir), jar)]
    if not wanted:
        return
    _make(cache_dir)
    source = download or _maven()
    done = bytes_done = 0
    # Downloads go to a separate folder first, so that an interrupted one never looks like a jar.
    with (
        tempfile.TemporaryDirectory(dir=cache_dir, prefix="download-") as staging,
        ThreadPoolExecutor(_PARALLEL_DOWNLOADS, thread_name_prefix="jar") as pool,
    ):
        fetches = [pool.submit(_fetch, jar, Path(staging), cache_dir, source) for jar in wanted]
        try:
            for fetch in as_completed(fetches):
                bytes_done += fetch.result()
                done += 1
                if progress is not None:
                    progress(FetchProgress(done, len(wanted), bytes_done))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(jar: LockedJar, staging: Path, cache_dir: Path, download: Download) -> int:
    file = _download(jar, staging, cache_dir, download)
    if not _is_intact(file, jar):
        raise LocalModeError(
            f"The jar {jar.path.name} has the wrong checksum: its sha256 is {sha256_of(file)}, "
            f"expected {jar.sha256}.",
            remedy="Do not use its source. Check mirrors and proxies first.",
        )
    target = _cached(jar, cache_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    size = file.stat().st_size
    file.replace(target)
    return size


def _download(jar: LockedJar, staging: Path, cache_dir: Path, download: Download) -> Path:
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            return download(jar, into=staging)
        except (OSError, RuntimeError) as error:
            shutil.rmtree(staging / jar.path.parent, ignore_errors=True)
            if attempts_left == 0:
                raise LocalModeError(
                    f"Apache Kafka is not in the cache folder, and {jar.path.name} could not be "
                    f"fetched: {_first_line(error)}",
                    remedy="The first start needs the network (about 45 MB), later ones do not. "
                    "Behind a proxy, set HTTPS_PROXY. Without a network, copy the cache folder of "
                    f"another machine to {cache_dir}, or name it with --cache-dir.",
                ) from error
    raise AssertionError("unreachable")


def _maven() -> Download:
    # Only the first start needs jgo; its import would take much of the time of later ones.
    from sluice_local.kafka import maven  # noqa: PLC0415

    return maven.download


def _make(cache_dir: Path) -> None:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalModeError(
            f"The cache folder {cache_dir} cannot be used: {error.strerror}.",
            remedy="Make it writable for this user, or choose another with --cache-dir.",
        ) from error


def _cached(jar: LockedJar, cache_dir: Path) -> Path:
    return cache_dir / "maven" / jar.path


def _is_intact(file: Path, jar: LockedJar) -> bool:
    return file.is_file() and sha256_of(file) == jar.sha256


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
