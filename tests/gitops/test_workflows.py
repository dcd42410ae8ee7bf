"""GitHub's workflows, and that they and the pages ask of the script what it knows."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.releasing.__main__ import parser
from scripts.releasing.environment import STAGES, charts_of, values_of
from tests.gitops.clones import Programs
from tests.support.stock import built_program

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yaml"))
ACTIONS = sorted(Path(".github/actions").glob("*/action.yaml"))
AUDIT = Path(".github/workflows/audit.yaml")
SCAN = Path(".github/workflows/scan.yaml")
RELEASING = [file for file in WORKFLOWS if file != AUDIT]
PAGES = [Path("docs/release.md"), Path("docs/deploy.md")]
OWN = "./.github/actions/"
CALL = re.compile(r"scripts/release [^\n`#)|;]+")


def load(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text("utf-8"))
    return found


def used(file: Path) -> Iterator[str]:
    for step in steps(load(file)):
        if "uses" in step and not step["uses"].startswith(OWN):
            yield step["uses"]


def steps(workflow: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """Give the steps of a workflow's jobs, or of an action of ours."""
    for job in workflow.get("jobs", {"action": workflow.get("runs")}).values():
        yield from job["steps"]


@pytest.mark.charts
def test_actionlint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [built_program("actionlint"), *WORKFLOWS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 4


@pytest.mark.parametrize("file", [*RELEASING, *PAGES], ids=str)
def test_the_script_is_asked_for_what_it_knows(file: Path) -> None:
    calls = CALL.findall(file.read_text("utf-8"))
    assert calls
    for call in calls:
        command = shlex.split(call)[1:]
        # An optional part of a call in a page.
        asked = [word.strip("[]") for word in command]
        assert parser().parse_args(asked).command


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=str)
def test_typed_input_reaches_a_shell_by_its_environment_alone(file: Path) -> None:
    for step in steps(load(file)):
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=str)
def test_actions_are_pinned_by_commit_and_say_which_version_that_is(file: Path) -> None:
    """A tag can be moved, which gives the new code the rights of the job."""
    text = file.read_text("utf-8")
    uses = [action for action in re.findall(r"uses: *(.*)", text) if not action.startswith(OWN)]
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+(/[\w-]+)?@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), (
            action
        )
    # One action, one commit.
    pinned = {tuple(action.split("@")) for each in [*WORKFLOWS, *ACTIONS] for action in used(each)}
    assert len(pinned) == len({name for name, _ in pinned})


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_no_job_takes_its_container_from_docker_hub(file: Path) -> None:
    """Docker Hub refuses those that it does not know, after some pulls from one address."""
    for name, job in load(file)["jobs"].items():
        container = job.get("container")
        image = container["image"] if isinstance(container, dict) else container
        assert image is None or image.startswith("public.ecr.aws/"), name


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_a_workflow_reads_and_jobs_ask_for_more(file: Path) -> None:
    workflow = load(file)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        pushes = "scripts/release promote" in str(job) or "scripts/release rollback" in str(job)
        rights = job.get("permissions", workflow["permissions"])
        assert (rights.get("contents") == "write") == pushes, name


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_a_checkout_keeps_the_token_only_where_it_is_pushed_with(file: Path) -> None:
    """What is kept can be read by all later steps, and by what they run."""
    workflow = load(file)
    for name, job in workflow["jobs"].items():
        checkouts = [step for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
        assert len(checkouts) == 1, name
        pushes = job.get("permissions", {}).get("contents") == "write"
        assert checkouts[0].get("with", {}).get("persist-credentials") is pushes, name


def test_the_audit_is_weekly_and_looks_at_every_lock(tmp_path: Path) -> None:
    # YAML 1.1 takes `on` for a yes.
    when = load(AUDIT)[True]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", when["schedule"][0]["cron"])
    assert "requirements/*.txt" in when["pull_request"]["paths"]
    assert any("scripts/audit" in step.get("run", "") for step in steps(load(AUDIT)))

    noted, program = tmp_path / "noted", tmp_path / "pip-audit"
    program.write_text(f'#!/bin/sh\necho "$@" >>{noted}\ncase "$*" in *gateway*) exit 1; esac\n')
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["scripts/audit"], env=environment, check=False)
    assert done.returncode != 0, "one lock had something"
    asked = noted.read_text("utf-8").splitlines()
    assert {line.split()[-1] for line in asked} == {
        str(lock.with_suffix(".txt")) for lock in Path("requirements").glob("*.in")
    }
    assert all({"--strict", "--require-hashes"} <= set(line.split()) for line in asked)


def test_dev_is_promoted_only_if_its_cluster_pulls_from_where_the_images_are() -> None:
    jobs = load(Path(".github/workflows/ci.yaml"))["jobs"]
    assert jobs["promote-dev"]["if"] == "needs.publish.outputs.registry == vars.RELEASE_REGISTRY"
    assert jobs["publish"]["outputs"]["registry"] == "${{ steps.login.outputs.registry }}"


def test_a_promotion_knows_the_registry_and_has_logged_in_there() -> None:
    for file in RELEASING:
        for job in load(file)["jobs"].values():
            promotes = [step for step in job["steps"] if "release promote" in step.get("run", "")]
            if not promotes:
                continue
            logs_in = [step for step in job["steps"] if step.get("uses") == f"{OWN}registry"]
            assert job["steps"].index(logs_in[0]) < job["steps"].index(promotes[0])
            assert job["permissions"].keys() >= {"packages", "id-token"}
            for step in promotes:
                environment = job.get("env", {}) | step.get("env", {})
                assert environment["RELEASE_REGISTRY"] == "${{ vars.RELEASE_REGISTRY }}"


def test_images_are_scanned_before_dev_gets_them_and_weekly() -> None:
    ci = load(Path(".github/workflows/ci.yaml"))["jobs"]
    runs = " ".join(step.get("run", "") for step in ci["publish"]["steps"])
    order = [runs.index(each) for each in ("release build", "scripts/scan", "scripts/sign")]
    assert order == sorted(order), "what is signed was scanned"
    assert ci["promote-dev"]["needs"] == "publish"
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", load(SCAN)[True]["schedule"][0]["cron"])
    asked = "".join(step.get("run", "") for step in steps(load(SCAN)))
    assert all(stage in asked for stage in STAGES)


@pytest.mark.parametrize(
    ("images", "code"), [("a/good\n", 0), ("a/bad\na/good\n", 1), ("a/good\na/bad\n", 1), ("", 1)]
)
def test_a_scan_looks_at_every_image_and_fails_if_one_is_bad(
    images: str, code: int, tmp_path: Path
) -> None:
    noted, grype = tmp_path / "noted", tmp_path / "grype"
    noted.touch()
    grype.write_text(f'#!/bin/sh\necho "$@" >>{noted}\ncase "$*" in *bad*) exit 2; esac\n')
    grype.chmod(0o755)
    done = subprocess.run(
        ["scripts/scan"],
        input=images,
        text=True,
        env={"GRYPE": str(grype), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == code
    asked = noted.read_text("utf-8").splitlines()
    assert [line.split()[-1] for line in asked] == [f"registry:{one}" for one in images.split()]
    assert all({"--only-fixed", "--fail-on"} <= set(line.split()) for line in asked)


def test_the_signer_that_is_verified_is_the_workflow_that_signs() -> None:
    release = load(Path(".github/workflows/release.yaml"))["jobs"]["release"]
    _, _, path = release["env"]["RELEASE_SIGNER"].partition("${{ github.repository }}/")
    workflow, _, ref = path.partition("@")
    assert "scripts/sign" in Path(workflow).read_text("utf-8")
    assert load(Path(workflow))[True]["push"]["branches"] == [ref.removeprefix("refs/heads/")]
    promotes = [step for step in release["steps"] if "release promote" in step.get("run", "")]
    installs = [step for step in release["steps"] if "cosign-installer" in step.get("uses", "")]
    assert release["steps"].index(installs[0]) < release["steps"].index(promotes[0])


@pytest.mark.parametrize(
    ("images", "code"), [("a@sha256:0\nb@sha256:1\n", 0), ("a@sha256:0\nb:1\n", 1), ("", 1)]
)
def test_only_digests_are_signed(images: str, code: int, programs: Programs) -> None:
    programs.provide("cosign", "")
    done = subprocess.run(["scripts/sign"], input=images, text=True, check=False)
    assert done.returncode == code
    if not code:
        assert programs.said() == ["sign", "--yes", "a@sha256:0", "sign", "--yes", "b@sha256:1"]


def test_a_promotion_starts_no_build() -> None:
    # YAML 1.1 takes `on` for a yes.
    ignored = load(Path(".github/workflows/ci.yaml"))[True]["push"]["paths-ignore"]
    changed = {values_of("*"), charts_of("*"), charts_of("*") / "**"}
    assert {path.as_posix() for path in changed} == {*ignored}
