"""The release script, on real git repositories."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scripts.releasing.__main__ import main
from scripts.releasing.values import tag_in, with_tag

FIRST = "20261031T080000-000000000000"
OLD = "20261101T080000-111111111111"
NEW = "20261102T080000-222222222222"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass(frozen=True)
class Clone:
    """Somebody's clone of the repository that Argo CD follows."""

    folder: Path

    def file(self, environment: str) -> Path:
        return self.folder / f"argocd/environments/{environment}/sluice.yaml"

    def release(self, *arguments: str) -> int:
        return main(["--folder", str(self.folder), *arguments])

    def pull(self) -> None:
        git(self.folder, "pull", "--quiet", "--ff-only")

    def tag(self, environment: str) -> str:
        found: str = yaml.safe_load(self.file(environment).read_text("utf-8"))["image"]["tag"]
        return found

    def commit(self, message: str) -> None:
        git(self.folder, "commit", "--quiet", "--all", "--allow-empty", "--message", message)

    def log(self) -> list[str]:
        return git(self.folder, "log", "--format=%s").splitlines()


@pytest.fixture(autouse=True)
def _a_git_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = "[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n"
    (tmp_path / "gitconfig").write_text(config, "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    git(tmp_path, "init", "--quiet", "--bare", str(folder))
    first = tmp_path / "first"
    git(tmp_path, "clone", "--quiet", str(folder), str(first))
    shutil.copytree("argocd/environments", first / "argocd/environments")
    for file in first.glob("argocd/environments/*/sluice.yaml"):
        file.write_text(with_tag(file.read_text("utf-8"), FIRST), "utf-8")
    git(first, "add", "--all")
    git(first, "commit", "--quiet", "--message", "Begin")
    git(first, "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def clone(tmp_path: Path, origin: Path) -> Clone:
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    return Clone(tmp_path / "clone")


@pytest.fixture
def other(tmp_path: Path, origin: Path) -> Clone:
    git(tmp_path, "clone", "--quiet", str(origin), "other")
    return Clone(tmp_path / "other")


def test_a_tag_is_the_time_and_the_name_of_the_commit(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("tag") == 0
    monkeypatch.setenv("TZ", "UTC")
    form = ("--format=%cd-%H", "--date=format-local:%Y%m%dT%H%M%S")
    when, _, commit = git(clone.folder, "log", "-1", *form).partition("-")
    assert capsys.readouterr().out == f"{when}-{commit[:12]}\n"


def test_what_is_in_no_commit_has_no_tag(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.file("dev").write_text("image: {}\n", "utf-8")
    assert clone.release("tag") == 1
    assert "changes in no commit" in capsys.readouterr().err


def test_a_promotion_changes_one_line_and_is_pushed(clone: Clone, other: Clone) -> None:
    before = clone.file("dev").read_text("utf-8").splitlines()
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    after = clone.file("dev").read_text("utf-8").splitlines()
    assert [line for line in after if line not in before] == [f'  tag: "{NEW}"']
    assert len(before) == len(after)
    changed = git(clone.folder, "show", "--format=", "--name-only")
    assert changed == "argocd/environments/dev/sluice.yaml"
    message = git(clone.folder, "log", "-1", "--format=%B")
    assert message.startswith(f"Release {NEW} to dev\n\ndev had {FIRST}.")
    other.pull()
    assert other.tag("dev") == NEW
    assert other.tag("staging") == other.tag("prod") == FIRST


def test_without_push_it_stays_here(clone: Clone, other: Clone) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW, "--no-push") == 0
    other.pull()
    assert (clone.tag("dev"), other.tag("dev")) == (NEW, FIRST)


def test_the_commit_itself_is_promoted_if_nobody_names_a_tag(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("tag") == 0
    tag = capsys.readouterr().out.strip()
    assert clone.release("promote", "--environment", "dev") == 0
    assert clone.tag("dev") == tag


def test_what_one_environment_has_goes_to_the_next(clone: Clone) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert clone.release("promote", "--from", "dev", "--to", "staging") == 0
    assert (clone.tag("staging"), clone.tag("prod")) == (NEW, FIRST)


def test_what_is_there_already_makes_no_commit(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    commits = clone.log()
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert "already" in capsys.readouterr().err
    assert clone.log() == commits


@pytest.mark.parametrize("tag", ["latest", "main", "a b", "", "-x", "x" * 129])
def test_a_tag_that_may_move_is_refused(
    clone: Clone, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "dev", f"--tag={tag or ' '}") == 1
    assert "does not name one image for ever" in capsys.readouterr().err
    assert clone.log() == ["Begin"]


def test_unknown_environments_are_told_with_those_that_are(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "production", "--tag", NEW) == 1
    assert "there are: dev, prod, staging" in capsys.readouterr().err
    assert clone.release("promote", "--from", "test", "--to", "prod") == 1
    assert clone.release("rollback", "--environment", "test") == 1


def test_what_others_pushed_before_stays(clone: Clone, other: Clone) -> None:
    assert other.release("promote", "--environment", "prod", "--tag", OLD) == 0
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert clone.log() == [f"Release {NEW} to dev", f"Release {OLD} to prod", "Begin"]


def test_who_is_beaten_to_the_push_begins_anew(
    clone: Clone, other: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other one pushes between our look and our push, once."""
    hook = clone.folder / ".git/hooks/pre-push"
    pushing = f"git -C {other.folder} push --quiet origin main"
    clean = "env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE"
    hook.write_text(f"#!/bin/sh\nrm {hook}\n{clean} {pushing}\n", "utf-8")
    hook.chmod(0o755)
    other.commit("Faster")
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert "once more" in capsys.readouterr().err
    assert clone.log() == [f"Release {NEW} to dev", "Faster", "Begin"]
    other.pull()
    assert other.tag("dev") == NEW


def test_a_refused_push_leaves_nothing_behind(
    clone: Clone, origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = origin / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho main is protected >&2\nexit 1\n", "utf-8")
    hook.chmod(0o755)
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 1
    assert "main is protected" in capsys.readouterr().err
    assert clone.log() == ["Begin"]
    assert clone.tag("dev") == FIRST


def test_ones_own_commits_are_not_pushed_along(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.commit("Not yet")
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 1
    assert "commits that origin lacks" in capsys.readouterr().err


def test_nothing_is_released_from_no_branch(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    git(clone.folder, "switch", "--quiet", "--detach")
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 1
    assert "no branch is checked out" in capsys.readouterr().err


def test_a_rollback_reverts_the_last_promotion_of_that_environment(
    clone: Clone, other: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "prod", "--tag", OLD) == 0
    assert clone.release("promote", "--environment", "prod", "--tag", NEW) == 0
    released = git(clone.folder, "rev-parse", "HEAD")
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    capsys.readouterr()
    assert clone.release("rollback", "--environment", "prod") == 0
    assert capsys.readouterr().out.strip() == OLD
    assert (clone.tag("prod"), clone.tag("dev")) == (OLD, NEW)
    message = git(clone.folder, "log", "-1", "--format=%B")
    assert message.startswith(f"Roll prod back to {OLD}\n\nThis reverts commit {released}")
    assert git(clone.folder, "status", "--porcelain") == ""
    other.pull()
    assert other.tag("prod") == OLD


def test_a_second_rollback_asks_which_one_is_meant(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "prod", "--tag", OLD) == 0
    assert clone.release("promote", "--environment", "prod", "--tag", NEW) == 0
    assert clone.release("rollback", "--environment", "prod") == 0
    commits = clone.log()
    assert clone.release("rollback", "--environment", "prod") == 1
    said = capsys.readouterr().err
    assert "rolled back already" in said
    assert f"Release {OLD} to prod" in said
    assert clone.log() == commits


def test_after_a_rollback_a_new_release_can_be_rolled_back_too(clone: Clone) -> None:
    for tag in (OLD, NEW):
        assert clone.release("promote", "--environment", "prod", "--tag", tag) == 0
        assert clone.release("rollback", "--environment", "prod") == 0
        assert clone.tag("prod") == FIRST


def test_a_rollback_leaves_alone_what_changed_besides(clone: Clone) -> None:
    assert clone.release("promote", "--environment", "prod", "--tag", NEW) == 0
    file = clone.file("prod")
    file.write_text(file.read_text("utf-8") + "# More.\n", "utf-8")
    clone.commit("Say more")
    git(clone.folder, "push", "--quiet")
    assert clone.release("rollback", "--environment", "prod") == 0
    assert clone.tag("prod") == FIRST
    assert file.read_text("utf-8").endswith("# More.\n")


def test_what_somebody_changed_by_hand_since_is_not_undone(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "prod", "--tag", NEW) == 0
    file = clone.file("prod")
    file.write_text(file.read_text("utf-8").replace(NEW, OLD), "utf-8")
    clone.commit("By hand")
    git(clone.folder, "push", "--quiet")
    assert clone.release("rollback", "--environment", "prod") == 1
    assert "cannot be reverted" in capsys.readouterr().err
    assert git(clone.folder, "status", "--porcelain") == ""
    assert clone.tag("prod") == OLD


def test_where_nothing_was_promoted_there_is_nothing_to_roll_back(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("rollback", "--environment", "prod") == 1
    assert "nothing was ever promoted to prod" in capsys.readouterr().err


def test_status_tells_who_has_what(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    capsys.readouterr()
    assert clone.release("status") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["dev", NEW], ["prod", FIRST], ["staging", FIRST]]


@dataclass(frozen=True)
class Docker:
    """A docker that does nothing but remember."""

    folder: Path

    def ends(self, *, build: int = 0, inspect: int = 1) -> None:
        """Be ready to end so."""
        program = self.folder / "docker"
        program.write_text(
            f'#!/bin/sh\nfor a; do echo "$a"; done >>{self.folder}/said\n'
            f'[ "$2" = build ] && exit {build}\nexit {inspect}\n',
            "utf-8",
        )
        program.chmod(0o755)

    def said(self) -> list[str]:
        return (self.folder / "said").read_text("utf-8").splitlines()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Docker(folder)


@pytest.mark.parametrize("push", [True, False])
def test_the_images_are_those_that_the_chart_names(
    *, push: bool, clone: Clone, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.ends()
    assert clone.release("build", "--registry", "reg.example.com", *["--push"] * push) == 0
    tag = capsys.readouterr().out.strip()
    said = docker.said()
    chart = yaml.safe_load(Path("helm/sluice/values.yaml").read_text("utf-8"))
    wanted = {
        f"--tag=reg.example.com/{chart[service]['image']['repository']}:{tag}"
        for service in ("gateway", "dispatcher", "statusWatcher")
    }
    assert {line for line in said if line.startswith("--tag=")} == wanted
    files = [line.removeprefix("--file=") for line in said if line.startswith("--file=")]
    assert len(files) == 3
    assert all(Path(file).is_file() for file in files)
    assert said.count("--push") == said.count("--provenance=mode=max") == 3 * push
    assert said.count("--load") == 3 * (not push)
    revision = git(clone.folder, "rev-parse", "HEAD")
    assert said.count(f"--build-arg=REVISION={revision}") == 3


def test_what_the_registry_has_is_never_overwritten(clone: Clone, docker: Docker) -> None:
    docker.ends(inspect=0)
    assert clone.release("build", "--registry", "reg.example.com", "--push") == 0
    assert docker.said().count("inspect") == 3
    assert "build" not in docker.said()


def test_a_build_that_fails_fails(
    clone: Clone, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.ends(build=1)
    assert clone.release("build", "--registry", "reg.example.com") == 1
    assert docker.said().count("build") == 1
    assert capsys.readouterr().out == ""


def test_the_script_runs_from_anywhere(tmp_path: Path) -> None:
    script = Path("scripts/release").resolve()
    told = subprocess.check_output([script, "--help"], cwd=tmp_path, text=True)
    for command in ("tag", "status", "build", "promote", "rollback"):
        assert f"\n    {command} " in told
    assert subprocess.check_output([script, "status"], cwd=tmp_path, text=True).startswith("dev ")


WRITTEN = [
    'image:\n  tag: "a"\n',
    "image:\n  # why\n  registry: r\n\n  tag: a # because\n  pullPolicy: Always\n",
    "gateway:\n  image:\n    tag: other\nimage: # all\n  tag:   a\n",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_the_tag_is_found_however_it_is_written(text: str) -> None:
    assert tag_in(text) == "a"
    changed = with_tag(text, "b")
    before, after = yaml.safe_load(text), yaml.safe_load(changed)
    before["image"]["tag"] = "b"
    assert json.dumps(before) == json.dumps(after)
    assert changed.count("#") == text.count("#")
