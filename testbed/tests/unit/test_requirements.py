"""What is missing is said together with how to get it."""

from pathlib import Path

import pytest

from testbed import requirements


@pytest.fixture
def root_on_linux(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The right kind of computer, and the right person."""
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return monkeypatch


def test_programs_are_named_with_their_packages(
    root_on_linux: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root_on_linux.setattr("testbed.requirements._SYSTEM_PATH", str(tmp_path))
    root_on_linux.setenv("PATH", str(tmp_path))
    programs, go = requirements.missing()
    assert "containerd, runc, iptables" in programs
    assert f"apt install {' '.join(requirements.debian_packages())}" in programs
    assert go == "Go is not installed (1.26.7 or newer)."


def test_another_user_than_root_is_refused(root_on_linux: pytest.MonkeyPatch) -> None:
    root_on_linux.setattr("os.geteuid", lambda: 1000)
    assert requirements.missing()[0].startswith("The testbed needs root")


def test_another_system_is_refused(root_on_linux: pytest.MonkeyPatch) -> None:
    root_on_linux.setattr("platform.system", lambda: "Darwin")
    assert requirements.missing()[0] == "The testbed runs only on Linux on x86_64."
