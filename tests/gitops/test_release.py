"""Promotions by the release script, on real git repositories."""

from pathlib import Path

import pytest

from tests.gitops.clones import FIRST, NEW, OLD, Clone, git


def test_a_tag_is_the_time_and_the_name_of_the_commit(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("tag") == 0
    monkeypatch.setenv("TZ", "UTC")
    form = ("--format=%cd-%H", "--date=format-local:%Y%m%dT%H%M%S")
    when, _, commit = git(clone.folder, "log", "-1", *form).partition("-")
    assert capsys.readouterr().out == f"{when}-{commit[:12]}\n"


def test_uncommitted_changes_have_no_tag(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.file("dev").write_text("image: {}\n", "utf-8")
    assert clone.release("tag") == 1
    assert "uncommitted changes" in capsys.readouterr().err


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


def test_a_promotion_without_push_stays_local(clone: Clone, other: Clone) -> None:
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


def test_the_tag_of_one_environment_goes_to_the_next(clone: Clone) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert clone.release("promote", "--from", "dev", "--to", "staging") == 0
    assert (clone.tag("staging"), clone.tag("prod")) == (NEW, FIRST)


def test_a_tag_that_is_there_already_makes_no_commit(
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
    assert "may come to name another image" in capsys.readouterr().err
    assert clone.log() == ["Begin"]


def test_an_unknown_environment_is_refused_with_the_known_ones(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "production", "--tag", NEW) == 1
    assert "there are: dev, prod, staging" in capsys.readouterr().err
    assert clone.release("promote", "--from", "test", "--to", "prod") == 1
    assert clone.release("rollback", "--environment", "test") == 1


def test_commits_that_others_pushed_before_stay(clone: Clone, other: Clone) -> None:
    assert other.release("promote", "--environment", "prod", "--tag", OLD) == 0
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert clone.log() == [f"Release {NEW} to dev", f"Release {OLD} to prod", "Begin"]


def test_a_push_that_comes_second_is_tried_again(
    clone: Clone, other: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other clone pushes between our fetch and our push, once."""
    hook = clone.folder / ".git/hooks/pre-push"
    pushing = f"git -C {other.folder} push --quiet origin main"
    clean = "env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE"
    hook.write_text(f"#!/bin/sh\nrm {hook}\n{clean} {pushing}\n", "utf-8")
    hook.chmod(0o755)
    other.commit("Faster")
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert "trying again" in capsys.readouterr().err
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


def test_status_lists_the_tag_of_each_environment(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    capsys.readouterr()
    assert clone.release("status") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["dev", NEW], ["prod", FIRST], ["staging", FIRST]]
