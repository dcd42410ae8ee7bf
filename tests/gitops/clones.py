"""A clone of the repository that Argo CD follows, for the release script."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.releasing.__main__ import main
from scripts.releasing.environment import IMAGES, STAGES, charts_of
from tests.gitops.stand_in_registry import StandIn

FIRST = "20261031T080000-000000000000"
OLD = "20261101T080000-111111111111"
CHART = "helm/sluice/Chart.yaml"
NEW = "20261102T080000-222222222222"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def push_images(registry: StandIn, tag: str, *, content: str = "") -> dict[str, str]:
    """Put the images of a release into a registry, and return the digests by service."""
    return {
        service: registry.push(f"sluice/sluice-{target}", tag, content=f"{target} {tag} {content}")
        for service, target in IMAGES.items()
    }


@dataclass(frozen=True)
class Programs:
    """Stand-ins for programs: they remember how they were called, and do nothing."""

    folder: Path

    def provide(self, name: str, script: str) -> None:
        """Be ready to end as a script of sh says."""
        program = self.folder / name
        text = f'#!/bin/sh\nfor a; do echo "$a"; done >>{self.folder}/said\n{script}\n'
        program.write_text(text, "utf-8")
        program.chmod(0o755)

    def said(self) -> list[str]:
        """Return all arguments so far."""
        return (self.folder / "said").read_text("utf-8").splitlines()


@dataclass(frozen=True)
class Clone:
    """Somebody's clone of the repository that Argo CD follows."""

    folder: Path
    registry: StandIn
    """The one that RELEASE_REGISTRY names."""

    def file(self, environment: str) -> Path:
        return self.folder / f"argocd/environments/{environment}/sluice.yaml"

    def release(self, *arguments: str) -> int:
        return main(["--folder", str(self.folder), *arguments])

    def brings(self, tag: str, *, to: str) -> None:
        """Promote a tag through all stages before an environment, and to it."""
        for stage in STAGES[: STAGES.index(to) + 1]:
            assert self.release("promote", "--environment", stage, "--tag", tag) == 0

    def pull(self) -> None:
        git(self.folder, "pull", "--quiet", "--ff-only")

    def tag(self, environment: str) -> str:
        found: str = yaml.safe_load(self.file(environment).read_text("utf-8"))["image"]["tag"]
        return found

    def digests(self, environment: str) -> dict[str, str]:
        """Return what the chart would be given."""
        values = yaml.safe_load(self.file(environment).read_text("utf-8"))
        found: dict[str, str] = values["image"].get("digests", {})
        return found

    def chart(self, environment: str) -> str:
        """Return the tag of the commit that an environment's chart is from."""
        file = self.folder / charts_of(environment) / CHART.removeprefix("helm/")
        return file.read_text("utf-8").rpartition(" ")[2].strip()

    def commit(self, message: str) -> None:
        git(self.folder, "commit", "--quiet", "--all", "--allow-empty", "--message", message)

    def log(self) -> list[str]:
        return git(self.folder, "log", "--format=%s").splitlines()
