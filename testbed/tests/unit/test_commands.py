"""What the commands say and leave alone when they cannot do what they are asked for."""

from pathlib import Path

import pytest

from testbed import __main__ as commands
from testbed.machine.machine import cgroup_trees
from testbed.testbed import Testbed


@pytest.fixture
def nothing_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, which passes for whole."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(Testbed, "build", lambda _, line, say: say(f"built {line}"))


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("words", [["up"], ["run", "--argo=3.7", "true"]])
def test_a_testbed_that_is_up_is_left_alone(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Testbed, "line", lambda _: "4.0")
    for ending in ("_end", "_remove"):
        monkeypatch.setattr(Testbed, ending, lambda _: pytest.fail("it was ended"))
    assert commands.main(words) == 1
    assert "The testbed is up, with Argo Workflows 4.0." in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_built")
def test_started_programs_are_ended_if_the_rest_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    ended = []
    monkeypatch.setattr(Testbed, "_start", fail)
    monkeypatch.setattr(Testbed, "_end", lambda _: ended.append("ended"))
    assert commands.main(["up"]) == 130
    # Before, for what a crash may have left, and after.
    assert len(ended) == 2


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "There is no command to run."),
        (["run", "--"], "There is no command to run."),
        (["run", "no-such-program"], "There is no program no-such-program on this computer."),
        (["docker"], "There is no command to run."),
        (["kubectl", "-n", "argo", "get", "pods"], "The testbed is not up."),
        (["kubeconfig"], "The testbed is not up."),
        (["logs", "etcd"], "etcd has no log."),
    ],
)
def test_an_impossible_command_says_why(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(words) == 1
    assert said in capsys.readouterr().err


def test_cgroups_are_one_tree_or_many(tmp_path: Path) -> None:
    for group in ("cpu", "memory"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "cgroup.procs").touch()
    assert cgroup_trees(tmp_path) == [tmp_path / "cpu", tmp_path / "memory"]
    (tmp_path / "cgroup.controllers").touch()
    assert cgroup_trees(tmp_path) == [tmp_path]
