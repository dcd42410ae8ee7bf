"""The images that the release script builds, its command line, and the line that it writes."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.releasing.building import CONTEXT, image_names
from scripts.releasing.environment import IMAGES, Images
from scripts.releasing.repository import ReleaseError
from tests.gitops.clones import Clone, Programs, git


@pytest.fixture
def docker(programs: Programs) -> Programs:
    """A docker for which every build succeeds, and which knows no image."""
    ends(programs)
    return programs


def ends(programs: Programs, *, build: int = 0, inspect: int = 1) -> None:
    """Have docker end so."""
    programs.provide("docker", f'[ "$2" = build ] && exit {build}\nexit {inspect}')


@pytest.mark.parametrize("push", [True, False])
def test_the_images_are_those_that_the_chart_names(
    *, push: bool, clone: Clone, docker: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone.release("build", "--registry", "reg.example.com", *["--push"] * push) == 0
    tag = capsys.readouterr().out.strip()
    said = docker.said()
    chart = yaml.safe_load(Path("helm/sluice/values.yaml").read_text("utf-8"))
    wanted = {
        f"--tag=reg.example.com/{chart[service]['image']['repository']}:{tag}"
        for service in ("gateway", "dispatcher", "statusWatcher", "logRelay")
    }
    assert {line for line in said if line.startswith("--tag=")} == wanted
    targets = [line.removeprefix("--target=") for line in said if line.startswith("--target=")]
    assert targets == ["gateway", "dispatcher", "status-watcher", "log-relay"]
    stages = re.findall(r"^FROM \S+ AS (\S+)$", Path("Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert {*targets} <= {*stages}
    assert said.count("--push") == said.count("--provenance=mode=max") == len(targets) * push
    assert said.count("--load") == len(targets) * (not push)
    revision = git(clone.folder, "rev-parse", "HEAD")
    assert said.count(f"--build-arg=REVISION={revision}") == len(targets)


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        ("https://ada:secret@git.example.com/a.git", "https://git.example.com/a.git"),
        ("https://secret@git.example.com/a.git", "https://git.example.com/a.git"),
        ("git@git.example.com:a.git", "git@git.example.com:a.git"),
    ],
)
def test_an_image_says_where_it_is_from_and_no_password(
    remote: str, source: str, clone: Clone, docker: Programs
) -> None:
    git(clone.folder, "remote", "set-url", "origin", remote)
    assert clone.release("build", "--registry", "reg.example.com") == 0
    assert docker.said().count(f"--build-arg=SOURCE={source}") == len(IMAGES)


def test_an_image_in_the_registry_is_never_overwritten(clone: Clone, docker: Programs) -> None:
    ends(docker, inspect=0)
    assert clone.release("build", "--registry", "reg.example.com", "--push") == 0
    assert docker.said().count("inspect") == len(IMAGES)
    assert "build" not in docker.said()


@pytest.mark.usefixtures("docker")
def test_uncommitted_files_get_into_no_image(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = clone.folder / "services/gateway/src/stray.py"
    stray.parent.mkdir(parents=True)
    stray.touch()
    assert clone.release("build", "--registry", "reg.example.com") == 1
    assert "services/gateway/src/stray.py" in capsys.readouterr().err
    stray.rename(clone.folder / "notes.txt")
    assert clone.release("build", "--registry", "reg.example.com") == 0


def test_all_that_docker_is_given_is_looked_through() -> None:
    given = Path(".dockerignore").read_text("utf-8").splitlines()
    copied = {line[1:].split("/")[0] for line in given if line.startswith("!")}
    assert {"Dockerfile", *copied} == set(CONTEXT)


def test_a_build_that_fails_fails(
    clone: Clone, docker: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(docker, build=1)
    assert clone.release("build", "--registry", "reg.example.com") == 1
    assert docker.said().count("build") == 1
    assert capsys.readouterr().out == ""


def test_the_script_runs_from_anywhere(tmp_path: Path) -> None:
    script = Path("scripts/release").resolve()
    shown = subprocess.check_output([script, "--help"], cwd=tmp_path, text=True)
    for command in ("tag", "status", "images", "build", "promote", "rollback"):
        assert f"\n    {command} " in shown
    assert subprocess.check_output([script, "status"], cwd=tmp_path, text=True).startswith("dev ")


def test_the_services_are_those_of_the_chart() -> None:
    chart = yaml.safe_load(Path("helm/sluice/values.yaml").read_text("utf-8"))
    assert {name: f"sluice/sluice-{target}" for name, target in IMAGES.items()} == {
        name: values["image"]["repository"]
        for name, values in chart.items()
        if isinstance(values, dict) and "repository" in values.get("image", {})
    }


def test_a_release_from_before_the_log_relay_has_no_image_of_it() -> None:
    digests = {name: f"sha256:{64 * '0'}" for name in IMAGES if name != "logRelay"}
    named = image_names(Images("a", digests), registry="reg.example.com")
    assert len(named) == len(digests)
    assert all("@sha256:" in each for each in named)
    assert len(image_names(Images("a"), registry="reg.example.com")) == len(IMAGES)


WRITTEN = [
    'image:\n  tag: "a"\n',
    "image:\n  # why\n  registry: r\n\n  tag: a # because\n  pullPolicy: Always\n",
    "gateway:\n  image:\n    tag: other\nimage: # all\n  tag:   a\n",
    "image:\n  tag: a\n  digests:\n    gateway: sha256:" + 64 * "0" + "\n\n# why\ngateway: {}\n",
    "image:\n  tag: a\n  digests: {}\n  pullPolicy: Always\n",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_release_is_found_however_it_is_written(text: str) -> None:
    before = yaml.safe_load(text)
    assert Images.read(text) == Images("a", before["image"].get("digests", {}))
    digests = {name: f"sha256:{64 * str(number)}" for number, name in enumerate(IMAGES, 1)}
    for images in (Images("b", digests), Images("b")):
        changed = images.written(text)
        after = yaml.safe_load(changed)
        before["image"].pop("digests", None)
        assert after["image"].pop("digests", {}) == images.digests
        before["image"]["tag"] = "b"
        assert json.dumps(before) == json.dumps(after)
        assert changed.count("#") == text.count("#")
        assert Images.read(changed) == images
        assert Images("b", digests).written(changed) == Images("b", digests).written(text)


def test_values_without_a_tag_name_no_release() -> None:
    with pytest.raises(ReleaseError, match=r"no image\.tag"):
        Images.read("gateway: {image: {tag: a}}\n")
