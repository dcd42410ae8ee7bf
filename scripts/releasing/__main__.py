"""The command: `scripts/release`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.releasing.building import build_images, image_names
from scripts.releasing.environment import Images
from scripts.releasing.registry import HttpRegistry
from scripts.releasing.release import Release
from scripts.releasing.repository import ReleaseError, Repository, say
from scripts.releasing.signing import Cosign

_HOW = """\
A release is a tag: a commit's time and name, as in 20261125T235644-ce68e6e12ab3. It always names
the same four images. image.tag and image.digests in argocd/environments/<environment>/sluice.yaml,
in the branch that Argo CD follows, name the release of an environment. To release is to commit
these lines; to roll back is to revert that commit.

  export RELEASE_REGISTRY=ghcr.io/OWNER               # or --registry
  scripts/release build --push                       # the images of the commit checked out
  scripts/release promote --environment dev          # that commit, to dev
  scripts/release promote --from dev --to staging    # the tag of dev
  scripts/release promote --from staging --to prod
  scripts/release rollback --environment prod        # the tag that prod had before
  scripts/release status                             # each environment's tag, as of this clone
  scripts/release images --environment prod          # what prod runs, by digest

A promotion asks the registry for the four images, with the credentials of `docker login`, and
writes their digests. staging takes only what dev ran, and prod only what staging ran.

docs/release.md describes what happens then, and what to do when it fails.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    reading = argparse.ArgumentParser(
        prog="scripts/release",
        description=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reading.add_argument("--folder", type=Path, default=Path(), help=argparse.SUPPRESS)
    reading.add_argument("--remote", default="origin", help="where to push to (default: origin)")
    commands = reading.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("tag", help="print the tag of the commit that is checked out")
    commands.add_parser("status", help="print each environment's tag")
    images = commands.add_parser("images", help="print the images of a release, by digest")
    of = images.add_mutually_exclusive_group()
    of.add_argument("--environment", dest="source", help="the one of this environment")
    of.add_argument("--tag", help="the one of this tag (default: of the commit checked out)")
    build = commands.add_parser("build", help="build the four images, by docker buildx")
    build.add_argument("--push", action="store_true", help="push them, with provenance and SBOM")
    promote = commands.add_parser("promote", help="commit a tag to an environment, and push")
    promote.add_argument(
        "--environment", "--to", required=True, help="the environment that gets the tag"
    )
    which = promote.add_mutually_exclusive_group()
    which.add_argument("--tag", help="the tag (default: that of the commit checked out)")
    which.add_argument("--from", dest="source", help="take the tag of this environment")
    promote.add_argument(
        "--signed-by",
        metavar="WORKFLOW",
        default=os.environ.get("RELEASE_SIGNER"),
        help="refuse images that this workflow has not signed, by cosign; as in "
        "https://github.com/OWNER/REPOSITORY/.github/workflows/ci.yaml@refs/heads/main "
        "(default: the variable RELEASE_SIGNER, or no check)",
    )
    rollback = commands.add_parser("rollback", help="revert the last promotion, and push")
    rollback.add_argument("--environment", required=True, help="the environment to roll back")
    for command in (images, build, promote):
        command.add_argument(
            "--registry",
            default=os.environ.get("RELEASE_REGISTRY"),
            help="as image.registry of helm/sluice (default: the variable RELEASE_REGISTRY)",
        )
    for command in (promote, rollback):
        command.add_argument("--no-push", action="store_true", help="commit, but do not push")
    return reading


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    given = parser().parse_args(arguments)
    release = Release(Repository(given.folder, remote=given.remote))
    try:
        print(_answer(release, given))
    except ReleaseError as error:
        say(str(error))
        return 1
    return 0


def _answer(release: Release, given: argparse.Namespace) -> str:
    match given.command:
        case "tag":
            return release.tag()
        case "status":
            tags = release.running().items()
            return "\n".join(f"{environment:10} {tag}" for environment, tag in tags)
        case "images":
            images = release.has(given.source) if given.source else _images_of(release, given)
            return "\n".join(image_names(images, registry=_registry_of(given)))
        case "build":
            tag, at = release.tag(), _registry_of(given)
            build_images(release.repository, tag=tag, registry=at, push=given.push)
            return tag
        case "promote":
            images = _images_of(release, given)
            if given.signed_by:
                for image in image_names(images, registry=_registry_of(given)):
                    Cosign(given.signed_by).verify(image)
            release.promote(given.environment, images=images, push=not given.no_push)
            return images.tag
        case _:
            return release.rollback(given.environment, push=not given.no_push)


def _registry_of(given: argparse.Namespace) -> str:
    if not given.registry:
        raise ReleaseError(
            "say in which registry the images are, by --registry or RELEASE_REGISTRY; for a "
            "cluster that Pulumi made, `pulumi stack output registry` prints it"
        )
    registry: str = given.registry
    return registry.rstrip("/")


def _images_of(release: Release, given: argparse.Namespace) -> Images:
    """Return what the registry has under a tag: that of an environment, or of the commit."""
    tag = given.tag or (release.has(given.source).tag if given.source else release.tag())
    return release.images(tag, registry=HttpRegistry(), at=_registry_of(given))


if __name__ == "__main__":
    sys.exit(main())
