"""The images of this repository, as parts: built by a real daemon from its Dockerfile."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.building.images import ARCHIVE, PythonImage
from testbed.building.parts import digest_of
from testbed.docker.daemon import Daemon
from testbed.docker.dockerfile import only_for
from testbed.docker.layers import Layer, on_top

SERVICES = ("gateway", "dispatcher", "status-watcher", "log-relay", "engine")
"""Targets of the Dockerfile."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_LAYERS = "layers.json"
_RECIPE = "1"
"""To be raised when images come out otherwise from the same files."""
_COPIED = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)
_NOT_COPIED = re.compile(r"__pycache__|\.egg-info|\.pyc$")


def tag_of(service: str) -> str:
    """Return the name under which a service's image is built here."""
    return f"sluice-{service}:dev"


@dataclass(frozen=True)
class ServiceImage:
    """The image of one service, or of the local engine; ``docker`` must be there to build it."""

    service: str
    repository: Path
    base: PythonImage
    docker: Daemon

    @property
    def name(self) -> str:
        """The part's name."""
        return f"image-{self.service}"

    @property
    def version(self) -> str:
        """The image's tag."""
        return "dev"

    @property
    def key(self) -> str:
        """Digest of its stages of the Dockerfile, of all that these copy, and of the base."""
        files = [self.repository / ".dockerignore", *self._copied()]
        content = (
            text
            for file in files
            for text in (str(file.relative_to(self.repository)), file.read_text("utf-8"))
        )
        return digest_of(_RECIPE, self.base.key, self._dockerfile(), *content)

    def build(self, out: Path) -> None:
        """Write the image, and what it adds to its base, into ``out``."""
        base, tag = self.base.debian.python_image, tag_of(self.service)
        dockerfile = out / "Dockerfile"
        dockerfile.write_text(self._dockerfile(), "utf-8")
        self.docker.docker(
            # Packages are fetched from where this computer fetches them.
            *("build", "--quiet", "--network=host", f"--build-arg=PYTHON_IMAGE={base}"),
            # Without a value: that of this environment. Docker keeps none of them in the image.
            *(f"--build-arg={name}" for name in _PROXIES if name in os.environ),
            *("--file", str(dockerfile), "--target", self.service, "--tag", tag, "."),
            cwd=self.repository,
        )
        self.docker.docker("save", "--output", out / ARCHIVE, tag)
        layers = [asdict(layer) for layer in on_top(self.docker, tag, base=base)]
        (out / _LAYERS).write_text(json.dumps(layers), "utf-8")

    def _dockerfile(self) -> str:
        return only_for(self.service, (self.repository / "Dockerfile").read_text("utf-8"))

    def _copied(self) -> Iterator[Path]:
        for sources in _COPIED.findall(self._dockerfile()):
            for source in map(self.repository.joinpath, sources.split()):
                files = source.rglob("*") if source.is_dir() else [source]
                for file in sorted(files):
                    if file.is_file() and not _NOT_COPIED.search(str(file)):
                        yield file


def read_layers(folder: Path) -> list[Layer]:
    """Return what a built image adds to its base, the newest first."""
    return [Layer(**entry) for entry in json.loads((folder / _LAYERS).read_text("utf-8"))]
