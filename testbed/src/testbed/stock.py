"""All parts of the cluster in build order, and the folder of each."""

from pathlib import Path

from testbed.building.crds import DEFINITIONS, SCHEMAS, CrdsPart
from testbed.building.golang import GoPart, locks_dir
from testbed.building.images import ARCHIVE, ExecutorImage, PythonImage, busybox_images
from testbed.building.parts import Part, Say, build_all, built_folder
from testbed.versions import Versions


class Stock:
    """The parts of all versions, built into ``cache`` or to be built."""

    def __init__(self, versions: Versions, *, cache: Path) -> None:
        self._cache = cache
        self._go = {name: GoPart(module, locks_dir()) for name, module in versions.go.items()}
        self._argo = {line: self._go[f"argo-{line}"] for line in versions.argo_lines}
        self._executors = {
            line: ExecutorImage(line, argo, cache) for line, argo in self._argo.items()
        }
        self._crds = CrdsPart(versions)
        self._images: list[Part] = [*busybox_images(), PythonImage(versions.debian)]

    def build(self, *, line: str, say: Say) -> None:
        """Build the parts that are not in the cache: of Argo Workflows, those of one line.

        Raises:
            TestbedError: a part could not be built, with what it lacks.
        """
        parts: list[Part] = [
            *(part for part in self._go.values() if part not in self._argo.values()),
            self._crds,
            *self._images,
            self._argo[line],
            self._executors[line],
        ]
        build_all(parts, cache=self._cache, say=say)

    def lock(self, *, say: Say) -> None:
        """Write the go.mod and go.sum of all Go parts."""
        for part in self._go.values():
            say(f"  {part.name} {part.version}")
            part.lock()
        say("  Strimzi's generator")
        self._crds.lock()

    def program(self, part: str, name: str) -> Path:
        """Return the path of a built program, or of a file beside it."""
        return built_folder(self._go[part], cache=self._cache) / name

    def definitions(self) -> Path:
        """Return the folder of CustomResourceDefinitions, with a folder for each project."""
        return built_folder(self._crds, cache=self._cache) / DEFINITIONS

    def schemas(self) -> Path:
        """Return the folder of JSON Schemas of all kinds, as kubeconform reads them."""
        return built_folder(self._crds, cache=self._cache) / SCHEMAS

    def node_images(self, line: str) -> list[Path]:
        """Return the archives of the images that a node with that line of Argo starts with."""
        images = [*self._images, self._executors[line]]
        return [built_folder(image, cache=self._cache) / ARCHIVE for image in images]
