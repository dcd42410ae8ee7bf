"""A copy of this repository as somebody's fork, with an environment for the testbed."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.building.commands import run

Json = dict[str, Any]

ENVIRONMENT = "testbed"
_AUTHOR = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


@dataclass(frozen=True)
class Repository:
    """A working tree whose commits on main go to ``remote`` at once."""

    tree: Path
    remote: Path

    @classmethod
    def fork(cls, tree: Path, *, remote: Path) -> "Repository":
        """Copy what git tracks here, and push it."""
        for name in run(["git", "ls-files", "-z"]).split("\0"):
            if name and (Path(name).is_file() or Path(name).is_symlink()):
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(name, tree / name, follow_symlinks=False)
        shutil.copytree(
            Path(__file__).parent / "environment",
            tree / "argocd/environments" / ENVIRONMENT,
            symlinks=True,
        )
        fork = cls(tree, remote)
        fork._git("init", "--quiet", "--initial-branch=main")
        fork._git("remote", "add", "origin", str(remote))
        fork.commit("Fork")
        return fork

    @property
    def sluice(self) -> Path:
        """Where the values of helm/sluice in this environment are."""
        return self.tree / "argocd/environments" / ENVIRONMENT / "sluice.yaml"

    def head(self) -> str:
        """Return the last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def commit(self, message: str) -> str:
        """Commit all that was changed, push it, and return the commit."""
        self._git("add", "--all")
        self._git(*_AUTHOR, "commit", "--quiet", "--message", message)
        return self._pushed()

    def revert(self) -> str:
        """Take the last commit back, and return the new one."""
        self._git(*_AUTHOR, "revert", "--no-edit", "HEAD")
        return self._pushed()

    def take_charts(self) -> None:
        """Replace the environment's charts by a copy of today's, as a promotion does."""
        charts = self.sluice.with_name("charts")
        if charts.is_symlink():
            charts.unlink()
        else:
            shutil.rmtree(charts)
        shutil.copytree(self.tree / "helm", charts)

    def values(self) -> Json:
        """Return the values of helm/sluice."""
        values: Json = yaml.safe_load(self.sluice.read_text("utf-8"))
        return values

    def change_values(self, changed: Callable[[Json], Json]) -> None:
        """Write other values of helm/sluice."""
        self.sluice.write_text(yaml.safe_dump(changed(self.values())), "utf-8")

    def _pushed(self) -> str:
        self._git("push", "--quiet", "origin", "main")
        return self.head()

    def _git(self, *arguments: str) -> str:
        return run(["git", *arguments], cwd=self.tree)
