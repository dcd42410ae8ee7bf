"""Building, promoting and rolling back."""

import datetime as dt
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.releasing.repository import ReleaseError, Repository, say

__all__ = ["CONTEXT", "Release", "tag_in", "with_tag"]

_ENVIRONMENTS = Path("argocd/environments")
_IMAGES = {
    "sluice/sluice-gateway": "gateway",
    "sluice/sluice-dispatcher": "dispatcher",
    "sluice/sluice-status-watcher": "status-watcher",
}
"""Targets of the Dockerfile by `image.repository` of helm/sluice."""

CONTEXT = ("Dockerfile", "LICENSE", "requirements", "libs", "engine", "scripts", "services")
"""The Dockerfile, and the paths that .dockerignore lets into the build."""

_CREDENTIALS = re.compile(r"^(https?://)[^/@]*@")
_RELEASED = "Release-Environment"
_UNDOES = "Release-Undoes"

_MOVING = frozenset({"latest", "main", "master", "dev", "staging", "prod", "stable", "edge"})
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_TAG_LINE = re.compile(
    r"""
    ^(image:[ ]*(?:\#.*)?\n              # the section at the top level,
      (?:[ ]+.*\n|[ ]*\n|\#.*\n)*?       # what else it has,
      [ ]+tag:[ ]*)                      # the value
    (?:"([^"\n]*)"|([^"'\s\#]+))         # with or without quotes
    """,
    re.MULTILINE | re.VERBOSE,
)


@dataclass(frozen=True)
class Release:
    """The releases in a repository."""

    repository: Repository

    def tag(self) -> str:
        """Return the tag of the commit that is checked out: its time and its hash.

        Raises:
            ReleaseError: the folder has uncommitted changes.
        """
        self.repository.insist_on_no_changes()
        when, commit = self.repository.git("log", "-1", "--format=%ct %H").split()
        moment = dt.datetime.fromtimestamp(int(when), dt.UTC)
        return f"{moment:%Y%m%dT%H%M%S}-{commit[:12]}"

    def build(self, *, registry: str, push: bool) -> str:
        """Build the three images under the tag of the commit, and return the tag.

        An image that the registry has already is not replaced: a tag always means the same image.

        Raises:
            ReleaseError: the folder has uncommitted changes, or docker failed.
        """
        tag = self.tag()
        self.repository.insist_on_nothing_new(*CONTEXT)
        remote = f"remote.{self.repository.remote}.url"
        source = self.repository.git("config", "--default", "unknown", "--get", remote)
        described = {
            "VERSION": tag,
            "REVISION": self.repository.git("rev-parse", "HEAD"),
            # A label of the image, which everybody can read.
            "SOURCE": _CREDENTIALS.sub(r"\1", source),
        }
        arguments = [f"--build-arg={key}={value}" for key, value in described.items()]
        # Provenance and SBOM are kept beside the image in the registry.
        arguments += ["--provenance=mode=max", "--sbom=true", "--push"] if push else ["--load"]
        for name, target in _IMAGES.items():
            image = f"{registry}/{name}:{tag}"
            if push and self._docker("buildx", "imagetools", "inspect", image, quietly=True):
                say(f"{image} exists already")
                continue
            say(f"building {image}")
            named = (f"--target={target}", f"--tag={image}")
            if not self._docker("buildx", "build", *arguments, *named, "."):
                raise ReleaseError("docker failed; the lines above say why")
        return tag

    def running(self) -> dict[str, str]:
        """Return the tag of each environment in this clone."""
        files = sorted((self.repository.folder / _ENVIRONMENTS).glob("*/sluice.yaml"))
        return {file.parent.name: tag_in(file.read_text("utf-8")) for file in files}

    def promote(self, environment: str, *, tag: str, push: bool) -> bool:
        """Commit a tag to an environment, and return whether it had another.

        Raises:
            ReleaseError: the tag is not immutable, or git failed.
        """
        _insist_on_immutable(tag)
        file = self._values(environment)

        def change() -> str | None:
            text = file.read_text("utf-8")
            before = tag_in(text)
            if before == tag:
                say(f"{environment} has {tag} already")
                return None
            file.write_text(with_tag(text, tag), "utf-8")
            return (
                f"Release {tag} to {environment}\n\n"
                f"{environment} had {before}.\n\n"
                f"{_RELEASED}: {environment}\n"
            )

        return self.repository.deliver(change) if push else self.repository.commit(change)

    def rollback(self, environment: str, *, push: bool) -> str:
        """Revert an environment's last promotion, and return the tag that it has again.

        Raises:
            ReleaseError: there is no promotion, or it was reverted already.
        """
        file = self._values(environment)

        def change() -> str:
            commit = self._last_promotion(environment)
            bad = tag_in(file.read_text("utf-8"))
            self._revert(commit)
            return (
                f"Roll {environment} back to {tag_in(file.read_text('utf-8'))}\n\n"
                f"This reverts commit {commit}, which released {bad}.\n\n"
                f"{_RELEASED}: {environment}\n"
                f"{_UNDOES}: {commit}\n"
            )

        if push:
            self.repository.deliver(change)
        else:
            self.repository.commit(change)
        say("a sync that still waits for the bad release's pods delays this: see docs/release.md")
        return tag_in(file.read_text("utf-8"))

    def _values(self, environment: str) -> Path:
        file = self.repository.folder / _ENVIRONMENTS / environment / "sluice.yaml"
        if not file.is_file():
            known = ", ".join(self.running()) or "none"
            raise ReleaseError(f"there is no environment {environment}; there are: {known}")
        return file

    def _last_promotion(self, environment: str) -> str:
        form = f"--format=%H %(trailers:key={_UNDOES},valueonly,separator=%x20)"
        its = f"--grep=^{_RELEASED}: {environment}$"
        commit, _, undoes = self.repository.git("log", "-1", form, its).partition(" ")
        if not commit:
            raise ReleaseError(f"nothing was ever promoted to {environment} by this script")
        if undoes:
            history = self.repository.git("log", "-9", "--format=  %cs %s", its)
            raise ReleaseError(
                f"{environment}'s last release was rolled back already; to go further back, "
                f"promote an older tag by its name:\n{history}"
            )
        return commit

    def _revert(self, commit: str) -> None:
        try:
            self.repository.git("revert", "--no-commit", commit)
        except ReleaseError as error:
            self.repository.git("revert", "--abort")
            raise ReleaseError(
                f"{commit[:12]} cannot be reverted, because its line has changed since; "
                "promote the older tag by its name instead"
            ) from error
        if not self.repository.git("diff", "--name-only", "HEAD"):
            self.repository.git("revert", "--abort")
            raise ReleaseError(
                f"{commit[:12]} was reverted already, by git alone; to go further back, "
                "promote an older tag by its name"
            )

    def _docker(self, *arguments: str, quietly: bool = False) -> bool:
        """Run docker, and return whether it succeeded."""
        try:
            done = subprocess.run(  # noqa: S603 (commands are ours)
                ["docker", *arguments],  # noqa: S607 (whichever docker the caller has)
                cwd=self.repository.folder,
                capture_output=quietly,
                check=False,
            )
        except FileNotFoundError:
            raise ReleaseError("there is no docker here; install it, with buildx") from None
        return done.returncode == 0


def tag_in(text: str) -> str:
    """Return `image.tag`.

    Raises:
        ReleaseError: the values have none.
    """
    found = _TAG_LINE.search(text)
    if found is None:
        raise ReleaseError("there is no image.tag in these values")
    return found[2] or found[3] or ""


def with_tag(text: str, tag: str) -> str:
    """Return the values, comments included, with another `image.tag`."""
    tag_in(text)
    return _TAG_LINE.sub(lambda found: f'{found[1]}"{tag}"', text, count=1)


def _insist_on_immutable(tag: str) -> None:
    """Refuse a tag that does not always name the same image.

    Raises:
        ReleaseError: the tag may move, or is not a valid tag.
    """
    if not _TAG.fullmatch(tag) or tag in _MOVING:
        raise ReleaseError(
            f"{tag!r} may come to name another image; use a tag as printed by `scripts/release tag`"
        )
