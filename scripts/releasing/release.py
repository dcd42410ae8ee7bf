"""Promoting and rolling back."""

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts.releasing.building import image_name
from scripts.releasing.environment import (
    ENVIRONMENTS,
    IMAGES,
    Images,
    charts_of,
    stage_before,
    values_of,
)
from scripts.releasing.repository import ReleaseError, Repository, say

__all__ = ["Registry", "Release"]

_RELEASED = "Release-Environment"
_UNDOES = "Release-Undoes"

_CHARTS = "helm"
_MOVING = frozenset({"latest", "main", "master", "dev", "staging", "prod", "stable", "edge"})
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_COMMIT = re.compile(r"\d{8}T\d{6}-([0-9a-f]{12})")


class Registry(Protocol):
    """Where images are."""

    def digest(self, image: str) -> str | None:
        """Return the digest that `REGISTRY/REPOSITORY:TAG` names; None: there is no such image.

        Raises:
            ReleaseError: nobody can say.
        """


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

    def running(self) -> dict[str, str]:
        """Return the tag of each environment in this clone."""
        files = sorted((self.repository.folder / ENVIRONMENTS).glob("*/sluice.yaml"))
        return {file.parent.name: Images.read(file.read_text("utf-8")).tag for file in files}

    def has(self, environment: str) -> Images:
        """Return the images of an environment in this clone.

        Raises:
            ReleaseError: there is no such environment.
        """
        return Images.read(self._values(environment).read_text("utf-8"))

    def images(self, tag: str, *, registry: Registry, at: str) -> Images:
        """Return the images that a tag names now; ``at``: as `image.registry` of helm/sluice.

        Raises:
            ReleaseError: the tag is not immutable, one of its images does not exist, or the
                registry cannot be asked.
        """
        _insist_on_immutable(tag)
        digests = {}
        for service in IMAGES:
            name = image_name(service, registry=at, tag=tag)
            digest = registry.digest(name)
            if digest is None:
                raise ReleaseError(
                    f"{name} does not exist; `scripts/release build --registry {at} --push` "
                    "on that commit makes it"
                )
            digests[service] = digest
        return Images(tag, digests)

    def promote(self, environment: str, *, images: Images, push: bool) -> bool:
        """Commit a release to an environment, and return whether it had another.

        An environment with a stage before it gets the charts of the release's commit, too.

        Raises:
            ReleaseError: the stage before never had these images, or git failed.
        """
        file = self._values(environment)

        def change() -> str | None:
            self._insist_that_the_stage_before_had(images, environment)
            text = file.read_text("utf-8")
            before = Images.read(text)
            if before == images:
                say(f"{environment} has {images.tag} already")
                return None
            if before.tag == images.tag and before.digests:
                raise ReleaseError(_moved(images.tag, environment))
            if stage_before(environment):
                self._take_charts(environment, tag=images.tag)
            file.write_text(images.written(text), "utf-8")
            return (
                f"Release {images.tag} to {environment}\n\n"
                f"{environment} had {before.tag}.\n\n"
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
            bad = Images.read(file.read_text("utf-8")).tag
            self._revert(commit)
            return (
                f"Roll {environment} back to {Images.read(file.read_text('utf-8')).tag}\n\n"
                f"This reverts commit {commit}, which released {bad}.\n\n"
                f"{_RELEASED}: {environment}\n"
                f"{_UNDOES}: {commit}\n"
            )

        if push:
            self.repository.deliver(change)
        else:
            self.repository.commit(change)
        say("a sync that still waits for the bad release's pods delays this: see docs/release.md")
        return Images.read(file.read_text("utf-8")).tag

    def _values(self, environment: str) -> Path:
        file = self.repository.folder / values_of(environment)
        if not file.is_file():
            known = ", ".join(self.running()) or "none"
            raise ReleaseError(f"there is no environment {environment}; there are: {known}")
        return file

    def _insist_that_the_stage_before_had(self, images: Images, environment: str) -> None:
        """Refuse what the stage before never ran; git's history says what that was."""
        before = stage_before(environment)
        if before is None:
            return
        path = values_of(before).as_posix()
        # Those that wrote the tag, or another one in its place.
        commits = self.repository.git("log", "--format=%H", f"-S{images.tag}", "--", path)
        had = [
            Images.read(self.repository.git("show", f"{commit}:{path}"))
            for commit in commits.split()
        ]
        if images in had:
            return
        if any(each.tag == images.tag and each.digests for each in had):
            raise ReleaseError(_moved(images.tag, before))
        shallow = self.repository.git("rev-parse", "--is-shallow-repository") == "true"
        raise ReleaseError(
            f"{before} never ran {images.tag}, so {environment} does not get it; "
            f"promote it to {before} first"
            + ("; this clone has not all commits: `git fetch --unshallow`" if shallow else "")
        )

    def _take_charts(self, environment: str, *, tag: str) -> None:
        """Put the charts of a tag's commit in the place of those that an environment has."""
        named = _COMMIT.fullmatch(tag)
        if named is None:
            raise ReleaseError(
                f"{tag} names no commit, so its charts are not known; "
                "use a tag as printed by `scripts/release tag`"
            )
        git = self.repository.git
        charts = charts_of(environment).as_posix()
        try:
            tree = git("rev-parse", "--verify", f"{named[1]}^{{commit}}:{_CHARTS}")
        except ReleaseError as error:
            raise ReleaseError(
                f"this clone has no commit {named[1]}, and so not the charts of {tag}; "
                "`git fetch --unshallow`, if it is shallow"
            ) from error
        git("rm", "-r", "--quiet", "--ignore-unmatch", "--", charts)
        git("read-tree", f"--prefix={charts}/", "-u", tree)

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
                f"{commit[:12]} cannot be reverted, because its lines have changed since; "
                "promote the older tag by its name instead"
            ) from error
        if not self.repository.git("diff", "--name-only", "HEAD"):
            self.repository.git("revert", "--abort")
            raise ReleaseError(
                f"{commit[:12]} was reverted already, by git alone; to go further back, "
                "promote an older tag by its name"
            )


def _moved(tag: str, environment: str) -> str:
    return (
        f"{tag} names other images in the registry than {environment} ran; a tag must never be "
        "pushed twice: find out who did, and build a commit of its own"
    )


def _insist_on_immutable(tag: str) -> None:
    """Refuse a tag that does not always name the same image.

    Raises:
        ReleaseError: the tag may move, or is not a valid tag.
    """
    if not _TAG.fullmatch(tag) or tag in _MOVING:
        raise ReleaseError(
            f"{tag!r} may come to name another image; use a tag as printed by `scripts/release tag`"
        )
