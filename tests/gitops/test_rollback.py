"""Rollbacks by the release script, on real git repositories."""

import pytest

from scripts.releasing.environment import charts_of
from tests.gitops.clones import FIRST, NEW, OLD, Clone, git


def test_a_rollback_reverts_the_last_promotion_of_that_environment(
    clone: Clone, other: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.brings(OLD, to="prod")
    digests = clone.digests("prod")
    clone.brings(NEW, to="prod")
    released = git(clone.folder, "rev-parse", "HEAD")
    assert clone.release("promote", "--environment", "dev", "--tag", FIRST) == 0
    capsys.readouterr()
    assert clone.release("rollback", "--environment", "prod") == 0
    assert capsys.readouterr().out.strip() == OLD
    assert (clone.tag("prod"), clone.tag("dev")) == (OLD, FIRST)
    assert clone.digests("prod") == digests != {}
    message = git(clone.folder, "log", "-1", "--format=%B")
    assert message.startswith(f"Roll prod back to {OLD}\n\nThis reverts commit {released}")
    assert git(clone.folder, "status", "--porcelain") == ""
    other.pull()
    assert other.tag("prod") == OLD


def test_a_rollback_brings_charts_and_images_back_together(clone: Clone) -> None:
    clone.brings(OLD, to="prod")
    clone.brings(NEW, to="prod")
    assert (clone.tag("prod"), clone.chart("prod")) == (NEW, NEW)
    assert clone.release("rollback", "--environment", "prod") == 0
    assert (clone.tag("prod"), clone.chart("prod")) == (OLD, OLD)
    changed = git(clone.folder, "show", "--format=", "--name-only").splitlines()
    assert all(name.startswith("argocd/environments/prod/") for name in changed)


def test_the_first_promotion_can_be_rolled_back(clone: Clone) -> None:
    clone.brings(NEW, to="prod")
    assert clone.release("rollback", "--environment", "prod") == 0
    assert (clone.tag("prod"), clone.chart("prod")) == (FIRST, FIRST)
    assert (clone.folder / charts_of("prod")).is_symlink()


def test_a_second_rollback_asks_which_one_is_meant(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.brings(OLD, to="prod")
    clone.brings(NEW, to="prod")
    assert clone.release("rollback", "--environment", "prod") == 0
    commits = clone.log()
    assert clone.release("rollback", "--environment", "prod") == 1
    said = capsys.readouterr().err
    assert "rolled back already" in said
    assert f"Release {OLD} to prod" in said
    assert clone.log() == commits


def test_a_release_reverted_by_git_alone_is_reported_and_left(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    for tag in (OLD, NEW):
        clone.brings(tag, to="prod")
    git(clone.folder, "revert", "--no-edit", "HEAD")
    git(clone.folder, "push", "--quiet")
    assert clone.release("rollback", "--environment", "prod") == 1
    assert "was reverted already" in capsys.readouterr().err
    assert "reverting" not in git(clone.folder, "status")
    assert clone.tag("prod") == OLD


def test_a_release_after_a_rollback_can_be_rolled_back_too(clone: Clone) -> None:
    for tag in (OLD, NEW):
        clone.brings(tag, to="prod")
        assert clone.release("rollback", "--environment", "prod") == 0
        assert clone.tag("prod") == FIRST


def test_a_rollback_leaves_other_changes_alone(clone: Clone) -> None:
    clone.brings(NEW, to="prod")
    file = clone.file("prod")
    file.write_text(file.read_text("utf-8") + "# More.\n", "utf-8")
    clone.commit("Say more")
    git(clone.folder, "push", "--quiet")
    assert clone.release("rollback", "--environment", "prod") == 0
    assert clone.tag("prod") == FIRST
    assert file.read_text("utf-8").endswith("# More.\n")


def test_a_later_change_by_hand_is_not_undone(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.brings(NEW, to="prod")
    file = clone.file("prod")
    file.write_text(file.read_text("utf-8").replace(NEW, OLD), "utf-8")
    clone.commit("By hand")
    git(clone.folder, "push", "--quiet")
    assert clone.release("rollback", "--environment", "prod") == 1
    assert "cannot be reverted" in capsys.readouterr().err
    assert git(clone.folder, "status", "--porcelain") == ""
    assert clone.tag("prod") == OLD


def test_an_environment_without_promotions_cannot_be_rolled_back(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("rollback", "--environment", "prod") == 1
    assert "nothing was ever promoted to prod" in capsys.readouterr().err
