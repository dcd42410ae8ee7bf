"""Promotions by the release script, on real git repositories."""

from pathlib import Path

import pytest

from scripts.releasing.environment import IMAGES, STAGES, charts_of
from sluice_local.ports import free_ports
from tests.gitops.clones import CHART, FIRST, NEW, OLD, Clone, Programs, git, push_images


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


def test_a_promotion_changes_the_lines_of_the_release_and_is_pushed(
    clone: Clone, other: Clone
) -> None:
    digests = push_images(clone.registry, NEW)
    before = clone.file("dev").read_text("utf-8").splitlines()
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    after = clone.file("dev").read_text("utf-8").splitlines()
    assert [line for line in after if line not in before] == [
        f'  tag: "{NEW}"',
        "  digests:",
        *[f'    {service}: "{digest}"' for service, digest in digests.items()],
    ]
    assert [line for line in before if line not in after] == [f'  tag: "{FIRST}"']
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
    push_images(clone.registry, tag)
    assert clone.release("promote", "--environment", "dev") == 0
    assert clone.tag("dev") == tag


def test_the_tag_of_one_environment_goes_to_the_next(clone: Clone) -> None:
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert clone.release("promote", "--from", "dev", "--to", "staging") == 0
    assert (clone.tag("staging"), clone.tag("prod")) == (NEW, FIRST)
    assert clone.digests("staging") == clone.digests("dev") != {}


@pytest.mark.parametrize("environment", ["dev", "staging"])
@pytest.mark.parametrize("missing", ["gateway", "dispatcher", "status-watcher", "log-relay"])
def test_an_image_that_does_not_exist_is_not_promoted(
    environment: str,
    missing: str,
    clone: Clone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if environment == "staging":
        clone.brings(NEW, to="dev")
    commits = clone.log()
    del clone.registry.manifests[f"sluice/sluice-{missing}:{NEW}"]
    assert clone.release("promote", "--environment", environment, "--tag", NEW) == 1
    assert f"sluice-{missing}:{NEW} does not exist" in capsys.readouterr().err
    assert clone.log() == commits


def test_images_are_promoted_only_if_the_right_workflow_has_signed_them(
    clone: Clone,
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The cosign here is a stand-in, which believes one signer."""
    monkeypatch.setenv("PATH", f"{programs.folder}:/usr/bin:/bin")
    signer = "https://github.com/ada/sluice/.github/workflows/ci.yaml@refs/heads/main"
    promote = ("promote", "--environment", "dev", "--tag", NEW, "--signed-by")
    assert clone.release(*promote, signer) == 1
    assert "there is no cosign here" in capsys.readouterr().err
    programs.provide(
        "cosign", f'case "$*" in *={signer}\\ *) ;; *) echo Not so. >&2; exit 1;; esac'
    )
    assert clone.release(*promote, signer.replace("ada", "eve")) == 1
    said = capsys.readouterr().err
    assert "is not signed by https://github.com/eve/" in said
    assert "Not so." in said
    assert clone.log() == ["Begin"]
    assert clone.release(*promote, signer) == 0
    digests = clone.digests("dev")
    asked = [line for line in programs.said() if line.startswith(clone.registry.host)][
        -len(digests) :
    ]
    assert asked == [
        f"{clone.registry.host}/sluice/sluice-{target}:{NEW}@{digests[service]}"
        for service, target in IMAGES.items()
    ]
    assert programs.said()[0] == "verify"


def test_a_registry_that_does_not_answer_stops_a_promotion(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"--registry=127.0.0.1:{free_ports(1)[0]}"
    assert clone.release("promote", "--environment", "dev", "--tag", NEW, nowhere) == 1
    assert "cannot be asked" in capsys.readouterr().err


def test_a_promotion_has_to_know_the_registry(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RELEASE_REGISTRY")
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 1
    assert "--registry or RELEASE_REGISTRY" in capsys.readouterr().err


@pytest.mark.parametrize(("stage", "before"), [("staging", "dev"), ("prod", "staging")])
def test_what_the_stage_before_never_ran_is_not_promoted(
    stage: str, before: str, clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    if before == "staging":
        clone.brings(NEW, to="dev")
    assert clone.release("promote", "--environment", stage, "--tag", NEW) == 1
    assert f"{before} never ran {NEW}" in capsys.readouterr().err
    assert clone.tag(stage) == FIRST
    clone.brings(NEW, to=stage)
    assert clone.tag(stage) == NEW


def test_what_the_stage_before_ran_once_may_still_be_promoted(clone: Clone, other: Clone) -> None:
    """Staging tries a release while dev goes on, and others' commits count."""
    clone.brings(OLD, to="dev")
    clone.brings(NEW, to="dev")
    assert other.release("promote", "--environment", "staging", "--tag", OLD) == 0
    assert other.release("rollback", "--environment", "dev") == 0
    assert clone.release("promote", "--environment", "staging", "--tag", NEW) == 0


def test_a_tag_that_was_pushed_twice_is_not_promoted(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.brings(NEW, to="dev")
    push_images(clone.registry, NEW, content="again")
    for environment in ("staging", "dev"):
        assert clone.release("promote", "--environment", environment, "--tag", NEW) == 1
        assert f"{NEW} names other images in the registry than dev ran" in capsys.readouterr().err


def test_a_clone_without_its_history_says_so(
    tmp_path: Path, origin: Path, clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    for tag in (OLD, NEW):
        clone.brings(tag, to="dev")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", "shallow")
    shallow = Clone(tmp_path / "shallow", clone.registry)
    assert shallow.release("promote", "--environment", "staging", "--tag", OLD) == 1
    assert "git fetch --unshallow" in capsys.readouterr().err


def test_an_environment_of_ones_own_takes_every_release(clone: Clone) -> None:
    file = clone.file("lab")
    file.parent.mkdir()
    file.write_text(clone.file("dev").read_text("utf-8"), "utf-8")
    git(clone.folder, "add", "--all")
    clone.commit("Add lab")
    git(clone.folder, "push", "--quiet")
    assert clone.release("promote", "--environment", "lab", "--tag", NEW) == 0
    assert clone.tag("lab") == NEW


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
    assert other.release("promote", "--environment", "dev", "--tag", OLD) == 0
    assert clone.release("promote", "--environment", "dev", "--tag", NEW) == 0
    assert clone.log() == [f"Release {NEW} to dev", f"Release {OLD} to dev", "Begin"]


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


def test_charts_go_with_the_images_to_every_stage_but_the_first(clone: Clone) -> None:
    clone.brings(OLD, to="prod")
    clone.brings(NEW, to="staging")
    assert [clone.chart(stage) for stage in STAGES] == [FIRST, NEW, OLD]
    for stage, tag in (("staging", NEW), ("prod", OLD)):
        commit = tag.partition("-")[2]
        its = git(clone.folder, "rev-parse", f"HEAD:{charts_of(stage)}")
        assert its == git(clone.folder, "rev-parse", f"{commit}:helm")
    assert git(clone.folder, "status", "--porcelain") == ""


def test_a_changed_chart_reaches_prod_with_a_promotion_and_not_before(clone: Clone) -> None:
    clone.brings(NEW, to="prod")
    (clone.folder / CHART).write_text("name: sluice # tomorrow\n", "utf-8")
    clone.commit("Change the chart")
    git(clone.folder, "push", "--quiet")
    assert [clone.chart(stage) for stage in STAGES] == ["tomorrow", NEW, NEW]
    assert clone.release("tag") == 0
    commit = git(clone.folder, "rev-parse", "--short=12", "HEAD")
    tomorrow = f"20261103T080000-{commit}"
    push_images(clone.registry, tomorrow)
    clone.brings(tomorrow, to="staging")
    assert [clone.chart(stage) for stage in STAGES] == ["tomorrow", "tomorrow", NEW]


def test_a_release_whose_charts_nobody_knows_is_not_promoted(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    for tag, fault in (("1.2.3", "names no commit"), ("20261102T080000-abc000000000", "no commit")):
        push_images(clone.registry, tag)
        clone.brings(tag, to="dev")
        assert clone.release("promote", "--environment", "staging", "--tag", tag) == 1
        assert fault in capsys.readouterr().err
        assert git(clone.folder, "status", "--porcelain") == ""


def test_the_images_of_a_release_are_named_by_digest(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = push_images(clone.registry, NEW)
    wanted = [
        f"{clone.registry.host}/sluice/sluice-{target}:{NEW}@{digests[service]}"
        for service, target in IMAGES.items()
    ]
    assert clone.release("images", "--tag", NEW) == 0
    assert capsys.readouterr().out.splitlines() == wanted
    clone.brings(NEW, to="dev")
    del clone.registry.manifests[f"sluice/sluice-gateway:{NEW}"]
    capsys.readouterr()
    assert clone.release("images", "--environment", "dev") == 0
    assert capsys.readouterr().out.splitlines() == wanted, "as git says, whatever is there"
    assert clone.release("images", "--environment", "prod") == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(f"/sluice/sluice-gateway:{FIRST}")
