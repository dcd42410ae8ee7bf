"""A step's folder and the artifact folder."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_engine.steps.artifacts import ArtifactFolder
from sluice_engine.steps.folders import StepFolder
from sluice_engine.steps.orders import OutputParameter, StepOrder


def folder(root: Path, *paths: str, command: tuple[str, ...] = ("x",), source: str | None = None,
           mounts: tuple[str, ...] = (), env: dict[str, str] | None = None,
           working_dir: str | None = None) -> StepFolder:  # fmt: skip
    outputs = tuple(OutputParameter(path, path, None, None) for path in paths)
    order = StepOrder(
        workflow_uid="u",
        node_id="n",
        command=command,
        source=source,
        mounts=mounts,
        env=env or {},
        output_parameters=outputs,
        working_dir=working_dir,
    )
    return StepFolder(root, order)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tmp/o", "R/tmp/o"),
        ("/tmp/o/", "R/tmp/o/"),
        ("/tmp/o/x", "R/tmp/o/x"),
        ("a=/tmp/o,b", "a=R/tmp/o,b"),
        ("'/tmp/o'", "'R/tmp/o'"),
        (">/tmp/o;", ">R/tmp/o;"),
        ("/tmp/other", "/tmp/other"),
        ("/tmp/o.txt", "/tmp/o.txt"),
        ("/tmp/o-x", "/tmp/o-x"),
        ("/x/tmp/o", "/x/tmp/o"),
        ("x/tmp/o", "x/tmp/o"),
        ("/tmp/o2/deep", "R/tmp/o2/deep"),
        ("/tmp", "/tmp"),
        ("/tmp/o2", "R/tmp/o2"),
        ("/tmp/o /tmp/o2/deep /tmp/o", "R/tmp/o R/tmp/o2/deep R/tmp/o"),
    ],
)
def test_declared_paths_are_put_in_place(text: str, expected: str, tmp_path: Path) -> None:
    found = folder(tmp_path, "/tmp/o", "/tmp/o2/deep").real(text)
    assert found == expected.replace("R", str(tmp_path / "files"))


def test_the_longest_path_wins(tmp_path: Path) -> None:
    files = str(tmp_path / "files")
    found = folder(tmp_path, "/sluice/out/x", mounts=("/sluice", "/sluice/out"))
    assert found.real("/sluice/out/x /sluice/out/y /sluice/z") == (
        f"{files}/sluice/out/x {files}/sluice/out/y {files}/sluice/z"
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "b", ""]), max_size=8).map("/".join))
def test_no_path_leads_out(path: str) -> None:
    root = Path("/r")
    place = folder(root).place(path)
    assert place.is_relative_to(root / "files")
    assert ".." not in place.parts


def test_python_is_the_one_that_runs(tmp_path: Path) -> None:
    for name in ("python", "python3", "python3.13"):
        found = folder(tmp_path, command=(name, "-c", "1")).command()
        assert found == [sys.executable, "-I", "-c", "1"]
    for name in ("python2", "/usr/bin/python3", "pythonic"):
        assert folder(tmp_path, command=(name,)).command() == [name]


def test_folders_that_every_image_has(tmp_path: Path) -> None:
    made = folder(tmp_path, "/tmp/o", "/mnt/out/part", "/var/lib/x", mounts=("/sluice/out",))
    made.create()
    there = {str(p.relative_to(tmp_path / "files")) for p in (tmp_path / "files").rglob("*")}
    assert there == {"tmp", "mnt", "var", "var/lib", "sluice", "sluice/out"}


def test_a_script_is_a_file(tmp_path: Path) -> None:
    found = folder(tmp_path, "/tmp/o", command=("bash",), source="echo > /tmp/o\r\n😀")
    found.create()
    assert found.command() == ["bash", str(tmp_path / "script")]
    expected = f"echo > {tmp_path}/files/tmp/o\r\n😀"
    assert (tmp_path / "script").read_bytes().decode() == expected
    assert (tmp_path / "script").stat().st_mode & 0o777 == 0o755


def test_the_environment_is_the_step_s_own(tmp_path: Path) -> None:
    found = folder(tmp_path, "/tmp/o", env={"OUT": "/tmp/o", "HOME": "/root"})
    environment = found.environment("/bin", "mark")
    assert environment == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "OUT": f"{tmp_path}/files/tmp/o",
        "HOME": f"{tmp_path}/home",
        "TMPDIR": f"{tmp_path}/tmp",
        "SLUICE_LOCAL_ENGINE": "mark",
    }


def test_artifacts_come_back(tmp_path: Path) -> None:
    artifacts = ArtifactFolder(tmp_path / "artifacts")
    (tmp_path / "one").write_text("1")
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "x").write_text("x")
    artifacts.keep(tmp_path / "one", "a/b/one")
    artifacts.keep(tmp_path / "many", "a/many")
    artifacts.lay_out("a/b/one", tmp_path / "out" / "one")
    artifacts.lay_out("a", tmp_path / "out" / "all")
    assert (tmp_path / "out" / "one").read_text() == "1"
    assert (tmp_path / "out" / "all" / "b" / "one").read_text() == "1"
    assert (tmp_path / "out" / "all" / "many" / "x").read_text() == "x"


def test_an_artifact_is_replaced_as_a_whole(tmp_path: Path) -> None:
    artifacts = ArtifactFolder(tmp_path / "artifacts")
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
        artifacts.keep(tmp_path / name, "k")
    artifacts.lay_out("k", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]
    (tmp_path / "file").write_text("f")
    artifacts.keep(tmp_path / "file", "k")
    artifacts.lay_out("k", tmp_path / "out2")
    assert (tmp_path / "out2").read_text() == "f"


@pytest.mark.parametrize("key", ["", "/", "..", "a/../../b", "a\0b"])
def test_keys_that_are_none(key: str, tmp_path: Path) -> None:
    artifacts = ArtifactFolder(tmp_path)
    with pytest.raises(ValueError, match=re.escape(repr(key))):
        artifacts.lay_out(key, tmp_path / "out")


def test_an_artifact_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ArtifactFolder(tmp_path).lay_out("none", tmp_path / "out")
    with pytest.raises(FileNotFoundError):
        ArtifactFolder(tmp_path).keep(tmp_path / "none", "k")
