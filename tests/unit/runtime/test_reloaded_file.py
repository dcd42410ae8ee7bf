"""Files that change while the process runs."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sluice_runtime.reloaded_file import ReloadedFile
from sluice_runtime.strict_yaml import FileError


def number(content: bytes) -> int:
    try:
        return int(content)
    except ValueError as e:
        raise FileError("number.txt: is not a number.") from e


def replace(path: Path, content: str) -> None:
    """Write another version as a deployment does: a file of its own, put in place at once."""
    new = path.with_suffix(".new")
    new.write_text(content)
    new.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "number.txt"
    path.write_text("1")
    return path


def test_a_changed_file_is_read_again(path: Path) -> None:
    file = ReloadedFile(path, number)
    replace(path, "2")
    file.look()
    assert file.value == 2


def test_an_unchanged_file_is_read_once(path: Path) -> None:
    contents: list[bytes] = []
    file = ReloadedFile(path, contents.append)
    file.look()
    file.look()
    assert contents == [b"1"]


def test_a_change_of_size_is_seen_within_one_tick_of_the_clock(path: Path) -> None:
    file, before = ReloadedFile(path, number), path.stat()
    path.write_text("22")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    file.look()
    assert file.value == 22


def test_a_broken_version_is_refused_and_the_old_one_stays(path: Path) -> None:
    file = ReloadedFile(path, number)
    replace(path, "x")
    with capture_logs() as logs:
        file.look()
        # Named once, and not at every look.
        file.look()
    assert [(line["log_level"], line["error"]) for line in logs] == [
        ("error", "number.txt: is not a number.")
    ]
    assert (file.value, file.refused) == (1, True)
    replace(path, "3")
    file.look()
    assert (file.value, file.refused) == (3, False)


def test_a_file_that_disappears_leaves_its_last_version(path: Path) -> None:
    file = ReloadedFile(path, number)
    path.unlink()
    file.look()
    assert (file.value, file.refused) == (1, True)


def test_a_version_of_a_mounted_secret_is_seen(tmp_path: Path) -> None:
    # The kubelet's layout: file -> ..data/file, and ..data -> a folder per version.
    for version, content in (("v1", "1"), ("v2", "2")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "number.txt").write_text(content)
    (tmp_path / "..data").symlink_to("v1")
    path = tmp_path / "number.txt"
    path.symlink_to("..data/number.txt")
    file = ReloadedFile(path, number)
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    file.look()
    assert file.value == 2


@pytest.mark.parametrize("content", ["x", None])
def test_a_first_version_has_to_be_usable(path: Path, content: str | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(FileError, match=r"number\.txt: "):
        ReloadedFile(path, number)


async def test_changes_are_noticed_without_being_asked(path: Path) -> None:
    loop, noticed = asyncio.get_running_loop(), asyncio.Event()

    def read(content: bytes) -> int:
        if content == b"2":
            loop.call_soon_threadsafe(noticed.set)
        return number(content)

    file = ReloadedFile(path, read)
    running = asyncio.create_task(file.run(every=timedelta(milliseconds=1)))
    replace(path, "2")
    await noticed.wait()
    running.cancel()
