"""CustomResourceDefinitions of the charts' objects, and JSON Schemas of all kinds."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.building import schemas, strimzi
from testbed.building.commands import run
from testbed.building.parts import digest_of
from testbed.errors import TestbedError
from testbed.versions import GoFiles, Versions

DEFINITIONS = "definitions"
SCHEMAS = "schemas"
_STRIMZI = "strimzi"


class _Loader(yaml.CSafeLoader):
    """Reads a bare `=` as text, unlike YAML 1.1."""


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


@dataclass(frozen=True)
class CrdsPart:
    """A folder of definitions for each project, to be applied, and one of schemas, to be read."""

    versions: Versions
    name: str = "crds"

    @property
    def version(self) -> str:
        """Empty, because it holds many projects."""
        return ""

    @property
    def key(self) -> str:
        """Digest of its sources and its recipe."""
        recipe = [Path(each) for each in (__file__, schemas.__file__, strimzi.__file__)]
        jars = strimzi.lock_file(self.versions.strimzi)
        texts = (file.read_text("utf-8") for file in (*recipe, jars))
        return digest_of(*texts, repr(self.versions.openapi), repr(self.versions.crds))

    def build(self, out: Path) -> None:
        """Write both into ``out``.

        Raises:
            TestbedError: Go is missing, the network, or what came is not what is locked.
        """
        for name, source in self.versions.crds.items():
            folder = out / DEFINITIONS / name
            folder.mkdir(parents=True)
            for file in _files(source):
                shutil.copyfile(file, folder / file.name)
        made = out / DEFINITIONS / _STRIMZI
        made.mkdir()
        strimzi.generate(self.versions.strimzi, out=made)
        self._write_schemas(out)

    def lock(self) -> None:
        """Write the checksums of Strimzi's jars."""
        strimzi.lock(self.versions.strimzi)

    def _write_schemas(self, out: Path) -> None:
        [document] = _files(self.versions.openapi)
        openapi = json.loads(document.read_text("utf-8"))
        (out / SCHEMAS).mkdir()
        made = list(schemas.core_schemas(openapi))
        for crd in _definitions(out / DEFINITIONS):
            made += schemas.crd_schemas(crd, openapi)
        for name, schema in made:
            (out / SCHEMAS / name).write_text(json.dumps(schema), "utf-8")


def _definitions(folder: Path) -> Iterator[Mapping[str, Any]]:
    for file in sorted(folder.rglob("*.yaml")):
        for document in yaml.load_all(file.read_text("utf-8"), Loader=_Loader):
            if document and document["kind"] == "CustomResourceDefinition":
                yield document


def _files(source: GoFiles) -> list[Path]:
    wanted = f"{source.module}@{source.version}"
    with tempfile.TemporaryDirectory() as nowhere:
        said = run(
            ["go", "mod", "download", "-json", wanted],
            cwd=Path(nowhere),
            environment={**os.environ, "GOFLAGS": "", "GOWORK": "off"},
            way_out="Modules come from the Go module proxy (GOPROXY, HTTPS_PROXY).",
        )
    module = json.loads(said)
    if module["Sum"] != source.sum:
        raise TestbedError(
            f"{wanted} differs from the lock: its sum is {module['Sum']}, not {source.sum}."
        )
    files = sorted(Path(module["Dir"]).glob(source.files))
    if not files:
        raise TestbedError(f"{wanted} has no {source.files}.")
    return files
