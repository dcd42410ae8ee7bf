"""Maven artifacts, by jgo."""

import logging
from pathlib import Path, PurePosixPath

import jgo
from jgo.config import GlobalSettings
from jgo.maven import Artifact, MavenContext

from sluice_local.kafka.lockfile import LockedJar

# SLF4J's simple binding; without any, Kafka's log lines are dropped.
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"
_TIMEOUT_SECONDS = 30


def kafka_coordinates(version: str) -> str:
    """Return jgo's endpoint for the broker of a Kafka version."""
    return f"org.apache.kafka:kafka_2.13:{version}+{_LOGGING}"


def resolve(version: str) -> list[PurePosixPath]:
    """Return the repository paths of all jars of a Kafka version, with transitive ones."""
    artifacts = jgo.resolve(kafka_coordinates(version))
    return sorted({_repository_path(artifact) for artifact in artifacts})


def download(jar: LockedJar, *, into: Path) -> Path:
    """Download one jar into the Maven repository folder `into` and return its file.

    Raises:
        OSError: the network or the repository failed (`requests` errors are `OSError`).
        RuntimeError: no repository has the jar, or jgo refused its checksum.
    """
    logging.getLogger("jgo").setLevel(logging.ERROR)
    artifact = _context(into).project(jar.group, jar.artifact).at_version(jar.version)
    return Path(artifact.artifact(classifier=jar.classifier).resolve())


def _context(repository: Path) -> MavenContext:
    """Return a context that prefers the user's mirrors; the checksum makes any mirror safe."""
    context = MavenContext(repo_cache=repository, timeout=_TIMEOUT_SECONDS)
    context.remote_repos = {**GlobalSettings.load().repositories, **context.remote_repos}
    return context


def _repository_path(artifact: Artifact) -> PurePosixPath:
    return PurePosixPath(artifact.component.path_prefix.as_posix(), artifact.filename)
