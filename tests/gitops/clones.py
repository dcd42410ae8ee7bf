"""A clone of the repository that Argo CD follows, for the release script."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.releasing.__main__ import main

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
