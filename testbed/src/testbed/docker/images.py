"""All images that Docker builds here, cached by a digest of their sources."""

from pathlib import Path

from testbed.building.images import ARCHIVE, PythonImage
from testbed.building.parts import Part, Say, build_all, built_folder
from testbed.docker.host import DockerHost
from testbed.docker.kafka_image import KafkaImage
from testbed.docker.layers import Layer
from testbed.docker.service_image import SERVICES, ServiceImage, read_layers
from testbed.errors import TestbedError
from testbed.folders import Folders
from testbed.locking import alone
from testbed.requirements import missing
from testbed.versions import Versions

_ENGINE = "engine"


class Images:
    """The images of the repository at ``repository``, their base, and Kafka's stand-in."""

    def __init__(self, folders: Folders, versions: Versions, *, repository: Path) -> None:
        self._cache, self._lock = folders.cache, folders.lock
        self._host = DockerHost(folders.docker)
        self._base = PythonImage(versions.debian)
        docker = self._host.builder
        self._kafka = KafkaImage(next(iter(versions.kafka.values())), self._base, docker)
        self._services = {
            service: ServiceImage(service, repository.resolve(), self._base, docker)
            for service in SERVICES
        }

    @property
    def base(self) -> str:
        """The name of their base image."""
        return self._base.debian.python_image

    def build(self, *, say: Say) -> None:
        """Build the images that are not in the cache; only that starts a daemon.

        Raises:
            TestbedError: something is missing, with how to get it, or a build failed.
        """
        lacks = missing()
        if lacks:
            raise TestbedError("Images cannot be built here.", way_out="\n".join(lacks))
        with alone(self._lock, say=say):
            self._build(say=say)

    def _build(self, *, say: Say) -> None:
        build_all([self._base], cache=self._cache, say=say)
        parts: list[Part] = [*self._services.values(), self._kafka]
        if all(self._archive(part).exists() for part in parts):
            build_all(parts, cache=self._cache, say=say)
            return
        with self._host.running(self._host.builder) as docker:
            docker.load([self._archive(self._base)])
            build_all(parts, cache=self._cache, say=say)

    def archives(self) -> list[Path]:
        """Return the archives of all built images, the base first, as `docker save` writes them."""
        parts: list[Part] = [self._base, *self._services.values(), self._kafka]
        return [self._archive(part) for part in parts]

    def service_archives(self) -> list[Path]:
        """Return the archives of the images of the three services."""
        return [self._archive(image) for name, image in self._services.items() if name != _ENGINE]

    def layers(self) -> dict[str, list[Layer]]:
        """Return what each built image adds to the base, the newest layer first."""
        return {
            service: read_layers(built_folder(image, cache=self._cache))
            for service, image in self._services.items()
        }

    def _archive(self, part: Part) -> Path:
        return built_folder(part, cache=self._cache) / ARCHIVE
