"""Building the images of a commit, by docker."""

import re
import subprocess

from scripts.releasing.environment import IMAGES, Images
from scripts.releasing.repository import ReleaseError, Repository, say

__all__ = ["CONTEXT", "build_images", "image_name", "image_names"]

CONTEXT = ("Dockerfile", "LICENSE", "requirements", "libs", "engine", "scripts", "services")
"""The Dockerfile, and the paths that .dockerignore lets into the build."""

_CREDENTIALS = re.compile(r"^(https?://)[^/@]*@")


def image_name(service: str, *, registry: str, tag: str) -> str:
    """Return the name of a service's image, as helm/sluice composes it."""
    return f"{registry}/sluice/sluice-{IMAGES[service]}:{tag}"


def image_names(images: Images, *, registry: str) -> list[str]:
    """Return the names of all images, by digest where it is known."""
    return [
        image_name(service, registry=registry, tag=images.tag)
        + (f"@{images.digests[service]}" if service in images.digests else "")
        for service in IMAGES
        # A release of earlier has fewer.
        if service in images.digests or not images.digests
    ]


def build_images(repository: Repository, *, tag: str, registry: str, push: bool) -> None:
    """Build all images of the commit that is checked out.

    An image that the registry has already is not replaced: a tag always means the same image.

    Raises:
        ReleaseError: there are untracked files, or docker failed.
    """
    repository.insist_on_nothing_new(*CONTEXT)
    remote = f"remote.{repository.remote}.url"
    source = repository.git("config", "--default", "unknown", "--get", remote)
    described = {
        "VERSION": tag,
        "REVISION": repository.git("rev-parse", "HEAD"),
        # A label of the image, which everybody can read.
        "SOURCE": _CREDENTIALS.sub(r"\1", source),
    }
    arguments = [f"--build-arg={key}={value}" for key, value in described.items()]
    # Provenance and SBOM are kept beside the image in the registry.
    arguments += ["--provenance=mode=max", "--sbom=true", "--push"] if push else ["--load"]
    for service, target in IMAGES.items():
        image = image_name(service, registry=registry, tag=tag)
        if push and _docker(repository, "buildx", "imagetools", "inspect", image, quietly=True):
            say(f"{image} exists already")
            continue
        say(f"building {image}")
        named = (f"--target={target}", f"--tag={image}")
        if not _docker(repository, "buildx", "build", *arguments, *named, "."):
            raise ReleaseError("docker failed; the lines above say why")


def _docker(repository: Repository, *arguments: str, quietly: bool = False) -> bool:
    """Run docker, and return whether it succeeded."""
    try:
        done = subprocess.run(  # noqa: S603 (commands are ours)
            ["docker", *arguments],  # noqa: S607 (the docker of the caller)
            cwd=repository.folder,
            capture_output=quietly,
            check=False,
        )
    except FileNotFoundError:
        raise ReleaseError("there is no docker here; install it, with buildx") from None
    return done.returncode == 0
