"""Whether each object is valid by the schemas that the API server has in its wave.

These are Kubernetes' own and those of the CustomResourceDefinitions that the part itself or an
earlier wave has brought, at the versions that are deployed.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.building.schemas import crd_schemas
from tests.charts.kubeconform import Kubeconform
from tests.platform.objects import Delivered, Json

_ANY_KIND_OF_KUBERNETES = "configmap-v1-v1.json"
_NOT_BUILT_IN = {"gateway.networking.k8s.io"}


@dataclass(frozen=True)
class Validator:
    """kubeconform with Kubernetes' own schemas, and a folder for those of others."""

    kubeconform: Kubeconform
    scratch: Path
    _written: dict[str, Path] = field(default_factory=dict)
    _said: dict[str, dict[str, str]] = field(default_factory=dict)

    def invalid(self, parts: list[Delivered]) -> list[str]:
        """Return what is wrong with the objects, each by what is known in its wave."""
        faults = []
        for part in parts:
            known = [other for other in parts if other is part or other.wave < part.wave]
            folders = tuple(
                self._schemas(other.name, definitions)
                for other in known
                if (definitions := [each for each in other.first if _is_definition(each)])
            )
            said = self._complaints(part.first, folders)
            faults += [f"{part.name}: {name}: {fault}" for name, fault in said.items() if fault]
        return faults

    def _complaints(self, objects: list[Json], folders: tuple[Path, ...]) -> dict[str, str]:
        """Look at each set of objects once: most are the same in all environments."""
        key = json.dumps([objects, *map(str, folders)], sort_keys=True)
        if key not in self._said:
            its = Kubeconform(self.kubeconform.program, self.kubeconform.schemas, folders)
            self._said[key] = its.complaints(objects)
        return self._said[key]

    def _schemas(self, name: str, definitions: list[Json]) -> Path:
        content = json.dumps(definitions, sort_keys=True)
        if content not in self._written:
            folder = self.scratch / f"{name}-{len(self._written)}"
            folder.mkdir()
            for definition in definitions:
                for file, schema in crd_schemas(definition, self._core()):
                    (folder / file).write_text(json.dumps(schema), "utf-8")
            self._written[content] = folder
        return self._written[content]

    def _core(self) -> dict[str, Any]:
        file = self.kubeconform.schemas / _ANY_KIND_OF_KUBERNETES
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found


def _is_definition(thing: Json) -> bool:
    return bool(thing["kind"] == "CustomResourceDefinition")


def kubernetes_alone(schemas: Path, *, into: Path) -> Path:
    """Return a folder of those schemas of `KIND-GROUP-VERSION.json` that are Kubernetes' own."""
    into.mkdir()
    for file in schemas.iterdir():
        group = file.stem.split("-")[1]
        if "." not in group or (group.endswith(".k8s.io") and group not in _NOT_BUILT_IN):
            (into / file.name).symlink_to(file)
    return into
