"""Only the stages that a target needs are given to Docker's classic builder."""

import re
import tomllib
from pathlib import Path

import pytest

from testbed.docker.dockerfile import only_for
from testbed.docker.service_image import SERVICES

DOCKERFILE = Path("Dockerfile").read_text("utf-8")
FOLDERS = {
    tomllib.loads(file.read_text("utf-8"))["project"]["name"]: file.parent
    for pattern in ("libs/*", "services/*", "engine")
    for file in Path().glob(f"{pattern}/pyproject.toml")
}


def stages(dockerfile: str) -> list[str]:
    return re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES)
def test_a_target_has_its_own_stages_alone(service: str) -> None:
    found = stages(only_for(service, DOCKERFILE))
    assert found[-1] == service
    assert {"build", f"build-{service}", "runtime"} <= {*found}
    assert not {*found} & {f"build-{other}" for other in SERVICES if other != service}


def test_the_arguments_before_the_first_stage_stay() -> None:
    assert "\nARG PYTHON_IMAGE=" in only_for("engine", DOCKERFILE).partition("\nFROM ")[0]


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no target web; it has build, .*, engine\."):
        only_for("web", DOCKERFILE)


def test_a_stage_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name: FROM debian"):
        only_for("web", "FROM debian\nRUN true\n")


def needed_by(package: str) -> set[Path]:
    """The folders of a package and of all that it depends on in this repository."""
    folder = FOLDERS[package]
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    sources = project.get("tool", {}).get("uv", {}).get("sources", {})
    return {folder}.union(*map(needed_by, sources))


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_the_packages_that_its_service_depends_on(service: str) -> None:
    own = only_for(service, DOCKERFILE)
    [installed] = re.findall(r"image-packages own (.+)$", own, re.MULTILINE)
    assert {*map(Path, installed.split())} == needed_by(f"sluice-{service}")
    assert f"image-packages locked {service}\n" in own
