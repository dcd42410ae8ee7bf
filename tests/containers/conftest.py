"""A Docker of its own for the session, with Compose, which holds the images of this repository."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.docker.compose import build_compose
from testbed.docker.daemon import Daemon
from testbed.docker.host import DockerHost
from testbed.docker.images import Images
from testbed.folders import default_folders
from testbed.requirements import missing
from testbed.versions import load_versions


@pytest.fixture(scope="session")
def images() -> Images:
    """All images, built if they were not yet."""
    if lacks := missing():
        reason = "no Docker here: " + " ".join(lacks)
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    images = Images(default_folders(), load_versions(), repository=Path())
    images.build(say=print)
    return images


@pytest.fixture(scope="session")
def docker(images: Images) -> Iterator[Daemon]:
    """The Docker."""
    folders = default_folders()
    compose = build_compose(folders, load_versions(), say=print)
    host = DockerHost(folders.docker)
    with host.running(host.runner) as docker:
        docker.load(images.archives())
        docker.give_client(compose)
        yield docker
