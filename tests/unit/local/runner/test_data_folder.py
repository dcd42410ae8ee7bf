"""The data folder: one runner at a time, removed only when it is ours and unused."""

import os
from pathlib import Path

import pytest

from sluice_local.errors import LocalModeError
from sluice_local.runner import data_folder


def test_a_second_runner_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with (
        data_folder.locked(folder),
        pytest.raises(LocalModeError, match=f"process {os.getpid()}"),
        data_folder.locked(folder),
    ):
        pass
    with data_folder.locked(folder):
        pass


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with (
        pytest.raises(LocalModeError, match="File exists"),
        data_folder.locked(tmp_path / "data"),
    ):
        pass


def test_clean_removes_an_unused_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with data_folder.locked(folder):
        (folder / "kafka").mkdir()
    assert data_folder.remove(folder)
    assert not folder.exists()
    assert not data_folder.remove(folder)


def test_clean_keeps_a_used_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with data_folder.locked(folder), pytest.raises(LocalModeError, match="Another Sluice uses"):
        data_folder.remove(folder)
    assert folder.exists()


def test_clean_keeps_another_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LocalModeError, match="was not removed"):
        data_folder.remove(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_endpoints_exist_from_publishing_to_withdrawing(tmp_path: Path) -> None:
    assert data_folder.read_endpoints(tmp_path) is None
    data_folder.publish_endpoints(tmp_path, {"kafka": "127.0.0.1:9092"})
    assert data_folder.read_endpoints(tmp_path) == {"kafka": "127.0.0.1:9092"}
    data_folder.withdraw_endpoints(tmp_path)
    data_folder.withdraw_endpoints(tmp_path)
    assert data_folder.read_endpoints(tmp_path) is None


def test_a_large_log_is_renamed(tmp_path: Path) -> None:
    log = data_folder.log_file(tmp_path, "kafka")
    log.write_text("small")
    assert data_folder.log_file(tmp_path, "kafka").read_text() == "small"
    with log.open("r+b") as file:
        file.truncate(20 << 20)
    assert not data_folder.log_file(tmp_path, "kafka").exists()
    assert (tmp_path / "kafka.log.1").stat().st_size == 20 << 20
