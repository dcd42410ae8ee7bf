"""A git repository and the one that it is pushed to."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ReleaseError", "Repository", "say"]

_TRIES = 5
_BEATEN = ("fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref")
"""What git says when someone else has pushed first."""


class ReleaseError(Exception):
    """A release cannot continue; the message says why, and what to do."""


@dataclass(frozen=True)
class Repository:
    """A clone with a branch checked out."""

    folder: Path
    remote: str

    def git(self, *arguments: str) -> str:
        """Run git, and return its output.

        Raises:
            ReleaseError: git failed; the message has its output.
        """
        done = subprocess.run(  # noqa: S603 (commands are ours)
            ["git", *arguments],  # noqa: S607 (whichever git the caller has)
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            raise ReleaseError(f"git {arguments[0]} failed:\n{said}")
        return done.stdout.strip()

    def insist_on_no_changes(self) -> None:
        """Refuse to continue with uncommitted changes.

        Raises:
            ReleaseError: there are some; the message lists them.
        """
        if changes := self.git("status", "--porcelain", "--untracked-files=no"):
            raise ReleaseError(f"there are uncommitted changes; commit or stash them:\n{changes}")

    def insist_on_nothing_new(self, *folders: str) -> None:
        """Refuse to continue with files that git neither tracks nor ignores.

        Raises:
            ReleaseError: there are some; the message lists them.
        """
        if new := self.git("ls-files", "--others", "--exclude-standard", "--", *folders):
            raise ReleaseError(f"there are untracked files; commit or remove them:\n{new}")

    def commit(self, change: Callable[[], str | None]) -> bool:
        """Commit a change locally, and return whether there was one.

        `change` writes it and returns the message, or None if nothing has to change.
        """
        self.insist_on_no_changes()
        message = change()
        if message is None:
            return False
        self.git("commit", "--quiet", "--all", "--message", message)
        say(message.partition("\n")[0])
        return True

    def deliver(self, change: Callable[[], str | None]) -> bool:
        """Commit a change on top of the remote branch, and push it; retry if others pushed first.

        Raises:
            ReleaseError: git failed, or others pushed first each time.
        """
        branch = self._branch()
        for _ in range(_TRIES):
            self.insist_on_no_changes()
            self._catch_up(branch)
            if not self.commit(change):
                return False
            try:
                self.git("push", "--quiet", self.remote, f"HEAD:refs/heads/{branch}")
            except ReleaseError as error:
                self.git("reset", "--quiet", "--hard", "HEAD~1")
                if not any(sign in str(error) for sign in _BEATEN):
                    raise
                say("someone else pushed first; trying again")
            else:
                say(f"pushed to {self.remote}/{branch}; Argo CD does the rest")
                return True
        raise ReleaseError(f"others pushed {_TRIES} times in between; try again")

    def _branch(self) -> str:
        branch = self.git("branch", "--show-current")
        if not branch:
            raise ReleaseError("no branch is checked out; `git switch main` first")
        return branch

    def _catch_up(self, branch: str) -> None:
        self.git("fetch", "--quiet", self.remote, branch)
        if self.git("rev-list", "FETCH_HEAD..HEAD"):
            raise ReleaseError(
                f"{branch} has commits that {self.remote} lacks; push them or drop them first"
            )
        self.git("merge", "--quiet", "--ff-only", "FETCH_HEAD")


def say(line: str) -> None:
    """Write a progress line to standard error; standard output has the answer only."""
    sys.stderr.write(f"release: {line}\n")
    sys.stderr.flush()
