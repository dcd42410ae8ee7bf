"""`python -m testbed images` and `python -m testbed docker COMMAND...`."""

import os
from collections.abc import Sequence

from testbed.building.parts import Say
from testbed.calling import call
from testbed.docker.compose import build_compose
from testbed.docker.host import DockerHost
from testbed.docker.images import Images
from testbed.folders import Folders
from testbed.versions import Versions

_MEGABYTE = 1_000_000
_WIDEST = 50
"""Characters of a layer's command that are shown."""


def show_images(images: Images, *, say: Say) -> None:
    """Build what is missing, and print sizes in MB and layers."""
    images.build(say=say)
    say(f"\nOn top of {images.base}:")
    for service, layers in images.layers().items():
        whole = sum(layer.size for layer in layers)
        say(f"\n  {service:54}{whole / _MEGABYTE:8.1f} MB")
        for layer in layers:
            if layer.size:
                say(f"    {_short(layer.made_by):52}{layer.size / _MEGABYTE:8.1f} MB")


def run_with_docker(
    command: Sequence[str], *, folders: Folders, versions: Versions, images: Images, say: Say
) -> int:
    """Run a command with a Docker daemon that has Compose and all images; return its exit code."""
    compose = build_compose(folders, versions, say=say)
    images.build(say=say)
    host = DockerHost(folders.docker)
    with host.running(host.runner) as docker:
        docker.load(images.archives())
        docker.give_client(compose)
        return call(command, environment={**os.environ, **docker.environment})


def _short(made_by: str) -> str:
    words = " ".join(made_by.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").split())
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 3]}..."
