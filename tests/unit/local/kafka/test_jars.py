"""The cache of jars: fetched once, verified at each start."""

import hashlib
from pathlib import Path, PurePosixPath

import pytest

from sluice_local.errors import LocalModeError
from sluice_local.kafka.jars import (
    FetchProgress,
    class_path,
    default_cache_dir,
    fetch_missing,
    locked_jars,
)
from sluice_local.kafka.lockfile import LockedJar

CONTENT = {"one": b"first jar", "two": b"second jar"}
JARS = [
    LockedJar(
        path=PurePosixPath(f"org/example/{name}/1.0/{name}-1.0.jar"),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    for name, content in CONTENT.items()
]


class FakeRepository:
    """A Maven repository that can fail and can be tampered with."""

    def __init__(self) -> None:
        self.content = dict(CONTENT)
        self.failures_left = 0
        self.downloads: list[str] = []

    def __call__(self, jar: LockedJar, *, into: Path) -> Path:
        self.downloads.append(jar.artifact)
        file = into / jar.path
        file.parent.mkdir(parents=True, exist_ok=True)
        if self.failures_left > 0:
            self.failures_left -= 1
            file.write_bytes(b"half")
            raise ConnectionError("no route to host\nand much more")
        file.write_bytes(self.content[jar.artifact])
        return file


def test_each_jar_is_fetched_once(tmp_path: Path) -> None:
    repository = FakeRepository()
    fetch_missing(JARS, cache_dir=tmp_path, download=repository)
    fetch_missing(JARS, cache_dir=tmp_path, download=repository)

    assert sorted(repository.downloads) == ["one", "two"]
    files = class_path(JARS, cache_dir=tmp_path).split(":")
    assert [Path(file).read_bytes() for file in files] == list(CONTENT.values())


def test_progress_ends_with_everything(tmp_path: Path) -> None:
    seen: list[FetchProgress] = []
    fetch_missing(JARS, cache_dir=tmp_path, download=FakeRepository(), progress=seen.append)
    assert [progress.done for progress in seen] == [1, 2]
    assert seen[-1] == FetchProgress(done=2, total=2, bytes_done=19)


def test_a_damaged_jar_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    fetch_missing(JARS, cache_dir=tmp_path, download=FakeRepository())
    damaged = Path(class_path(JARS[:1], cache_dir=tmp_path))
    damaged.write_bytes(b"first jaR")

    repository = FakeRepository()
    fetch_missing(JARS, cache_dir=tmp_path, download=repository)

    assert repository.downloads == ["one"]
    assert damaged.read_bytes() == b"first jar"


def test_a_tampered_jar_is_refused_and_never_cached(tmp_path: Path) -> None:
    repository = FakeRepository()
    repository.content["two"] = b"Second jar"
    with pytest.raises(LocalModeError, match=r"two-1\.0\.jar has the wrong checksum"):
        fetch_missing(JARS, cache_dir=tmp_path, download=repository)
    assert not Path(class_path(JARS[1:], cache_dir=tmp_path)).exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("download")] == []


def test_a_temporary_failure_is_retried(tmp_path: Path) -> None:
    repository = FakeRepository()
    repository.failures_left = 2
    fetch_missing(JARS[:1], cache_dir=tmp_path, download=repository)
    assert repository.downloads == ["one"] * 3


def test_a_missing_network_is_explained(tmp_path: Path) -> None:
    repository = FakeRepository()
    repository.failures_left = 1000
    with pytest.raises(LocalModeError) as caught:
        fetch_missing(JARS[:1], cache_dir=tmp_path, download=repository)
    assert "one-1.0.jar could not be fetched: no route to host" in str(caught.value)
    assert "and much more" not in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_cache_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    file.touch()
    with pytest.raises(LocalModeError, match="cache folder"):
        fetch_missing(JARS, cache_dir=file, download=FakeRepository())


def test_a_version_without_a_lock_file_is_explained() -> None:
    with pytest.raises(LocalModeError, match=r"lock --version 0\.8"):
        locked_jars("0.8")


def test_the_cache_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache_dir() == Path("/somewhere/sluice")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache/sluice"
