"""Each Go part is locked: what versions.toml asks for is what go.mod and go.sum hold."""

from pathlib import Path

import pytest

from testbed.building.golang import HERE, locks_dir
from testbed.versions import GoModule, load_versions

MODULES = load_versions().go.values()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_the_lock_is_of_the_version_wanted(module: GoModule) -> None:
    locked = locks_dir() / module.name
    go_mod = (locked / "go.mod").read_text("utf-8")
    assert f"{module.module} {module.version}" in go_mod
    for package in module.programs.values():
        assert (locked / "main.go").exists() if package == HERE else package in go_mod
    sums = (locked / "go.sum").read_text("utf-8")
    assert f"{module.module} {module.version} h1:" in sums


def test_there_is_no_lock_of_nothing() -> None:
    folders = {folder.name for folder in locks_dir().iterdir() if folder.is_dir()}
    assert folders == {module.name for module in MODULES}


def test_make_tests_every_line_of_argo() -> None:
    [lines] = [
        line.partition("=")[2].split()
        for line in Path("Makefile").read_text("utf-8").splitlines()
        if line.startswith("ARGO ?=")
    ]
    assert lines == load_versions().argo_lines
