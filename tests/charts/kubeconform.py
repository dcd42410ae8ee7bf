"""kubeconform, with the schemas of Kubernetes and of all CRDs that the testbed has."""

import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"


@dataclass(frozen=True)
class Kubeconform:
    """The program, and its folders of schemas."""

    program: Path
    schemas: Path
    more: tuple[Path, ...] = ()

    def complaints(self, objects: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Say what is wrong with each object, by kind and name; "" is nothing."""
        folders = (self.schemas, *self.more)
        with tempfile.TemporaryDirectory() as scratch:
            # A file each: it reuses the buffer of a stream before it has read large objects.
            for number, each in enumerate(objects):
                Path(scratch, f"{number:04}.json").write_text(json.dumps(each), "utf-8")
            done = subprocess.run(
                [
                    *(self.program, "-strict", "-verbose", "-output", "json"),
                    *(f"-schema-location={folder / _FILES}" for folder in folders),
                    scratch,
                ],
                capture_output=True,
                text=True,
                check=False,
            )
        assert not done.stderr, done.stderr
        looked_at = json.loads(done.stdout)["resources"] or []
        said: dict[str, str] = {}
        for each in looked_at:
            name = f"{each['kind']}/{each['name']}"
            # There may be one of the same name in another namespace.
            said[name] = said.get(name) or ("" if each["status"] == "statusValid" else each["msg"])
        return said
